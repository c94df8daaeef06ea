#!/usr/bin/env bash
# Installs what the tests need, checks the code, builds it and runs every test. Arguments go to the test runner:
# ./run-tests.sh test/unit runs those only. The last line is "N passed, N failed".
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

output=$(mktemp)
count() { grep '^# { total:' "$output" | tail -n 1 | sed -n "s/.*[{,] $1: \([0-9]*\).*/\1/p" || true; }

# The runner's totals stand in its last summary, as "# { total: 24, pass: 23, fail: 1, skip: 2 }". A run that broke
# without a failed assertion (no build, a crash, a timeout) must not read as a success.
finish() {
  local status=$? passed failed
  passed=$(count pass) failed=$(count fail)
  if ((status != 0 && ${failed:-0} == 0)); then failed=1; fi
  rm -f "$output"
  echo "${passed:-0} passed, ${failed:-0} failed"
}
trap finish EXIT
# Else an interrupted run would be counted before it has ended.
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=scripts/prepare.sh
source scripts/prepare.sh
prepare_install
prepare_build
prepare_mongo_wire
prepare_python
npm run --silent typecheck
npm run --silent lint
# With CI set the report is plain lines, written once: what is drawn anew all the time cannot be read in a log. The
# runner shows the cursor that it never hid.
CI=true npx --no-install tap --reporter=terse "$@" </dev/null | sed $'s/\e\\[?25h//g' | tee "$output"
