#!/usr/bin/env bash
# Installs what the tests need, checks the code, builds it and runs every test. Arguments go to the test runner:
# ./run-tests.sh test/stores runs those only. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh

prepare_install
prepare_build
npm run --silent typecheck
npm run --silent lint

output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
npx --no-install tap --reporter=terse --output-file="$output" "$@" </dev/null || status=$?

# The runner's own totals stand in its last summary, as "# { total: 24, pass: 23, fail: 1, skip: 2 }".
summary=$(grep '^# { total:' "$output" | tail -n 1)
count () { sed -n "s/.*[{,] $1: \([0-9]*\).*/\1/p" <<< "$summary"; }
passed=$(count pass) failed=$(count fail) skipped=$(count skip)
# A run that broke without a failed assertion (a crash, a timeout) must not read as a success.
if [ "$status" -ne 0 ] && [ "${failed:-0}" -eq 0 ]; then failed=1; fi
echo "${passed:-0} passed, ${failed:-0} failed${skipped:+, $skipped skipped}"
exit "$status"
