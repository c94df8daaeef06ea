#!/usr/bin/env bash
# Installs what the tests need, builds the code and runs its tests with its checks beside them. The last line is
# "N passed, N failed".
#   ./run-tests.sh               every test
#   ./run-tests.sh test/unit     tests whose paths begin with this
#   ./run-tests.sh --nodes       the main tests on each release line of Node.js that docs/dependencies.md lists
set -euo pipefail
# Also where this is started by a symlink.
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"

report=$(mktemp)
findings=$(mktemp)
# Each run ends with its totals, as "# { total: 24, pass: 23, fail: 1, skip: 2 }".
count() { awk -v what="$1:" '/^# { total:/ { for (i = 1; i < NF; i++) if ($i == what) sum += $(i + 1) } END { print sum + 0 }' "$report"; }

# A run that broke without a failed assertion (no build, a crash, a timeout) must not look like a success. Failed checks
# count as one failure more.
finish() {
  local status=$? passed failed group
  for group in $(jobs -pr); do kill -- "-$group" || true; done
  passed=$(count pass) failed=$(($(count fail) + checks_failed))
  if ((status != 0 && failed == 0)); then failed=1; fi
  rm -f "$report" "$findings"
  echo "$passed passed, $failed failed"
}
checks_failed=0
trap finish EXIT
# Otherwise an interrupted run would be counted before it has ended.
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs tests and reports failures. With CI set, the report is plain lines, written once. The reporter also shows the
# cursor, which it never hid: sed removes that sequence.
run() {
  node scripts/run-tests.js "$@" </dev/null | tee -a "$report" | CI=true node_modules/.bin/tap --reporter=min - |
    sed $'s/\e\\[?25h//g'
}

# Runs a function beside what follows, in a process group of its own, which ends with this script. Its pid is $!.
beside() {
  set -m
  "$@" </dev/null &
  set +m
}

# shellcheck source=scripts/prepare.sh
source scripts/prepare.sh
prepare_node
beside prepare_mongo_wire
others=($!)
if [[ ${1-} != --nodes ]]; then
  beside prepare_python
  others+=($!)
fi
prepare_install
prepare_build
for other in "${others[@]}"; do wait "$other"; done

if [[ ${1-} == --nodes ]]; then
  status=0
  for version in "${PREPARE_NODES[@]}"; do
    prepare_node_release "$version"
    bin=$(prepare_node_folder "$version")/bin
    echo "Node.js $("$bin/node" -p process.versions.node)"
    # shellcheck disable=SC2031
    (PATH=$bin:$PATH && run test/process/{start-and-stop,main-job,start-up/demo}.test.ts test/service/stores/{sqlite,mongodb}.test.ts) || status=$?
  done
  exit "$status"
fi

beside prepare_checks >"$findings" 2>&1
checks=$!
status=0
run "$@" || status=$?
wait "$checks" || checks_failed=1
cat "$findings"
exit $((status > checks_failed ? status : checks_failed))
