# shellcheck shell=bash
# Sourced by start-up.sh and run-tests.sh, from the project's folder: brings node_modules, dist and, for the tests, the
# MongoDB-wire emulator up to date. Each function is quick when nothing has changed. They print to stderr only.

prepare_say() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# Ends the script with a clear message if Node.js is missing or too old.
prepare_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    prepare_say 'Node.js 20.19 or newer, with npm, is needed and was not found. See https://nodejs.org/'
    exit 1
  fi
  local version major minor
  version=$(node -p process.versions.node)
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  if ((major < 20 || (major == 20 && minor < 19))); then
    prepare_say "Node.js 20.19 or newer is needed; this is $version. See https://nodejs.org/"
    exit 1
  fi
}

# The releases of Node.js that ./run-tests.sh --nodes tests, besides the installed one.
PREPARE_NODES=(24.21.0 26.12.1)

# Installs one of them from the npm registry, under .nodes/.
prepare_node_release() {
  local folder name
  folder=$(prepare_node_folder "$1")
  if [[ -x $folder/bin/node ]]; then return; fi
  name=${folder##*/}
  prepare_say "installing Node.js $1"
  mkdir -p ".nodes/$1"
  prepare_quietly npm install --prefix ".nodes/$1" --no-save --no-audit --no-fund --loglevel=error "$name@$1"
}

prepare_node_folder() {
  printf '%s' "$PWD/.nodes/$1/node_modules/node-$(node -p 'process.platform + "-" + process.arch')"
}

# Runs a command and shows its output only if it fails, which ends the script.
prepare_quietly() {
  local output
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    prepare_say "this failed: $*"
    exit 1
  fi
}

# Runs a function under a lock on a folder: only one script at a time prepares what belongs there.
prepare_alone() {
  if ! command -v flock >/dev/null; then
    "$2"
    return
  fi
  exec 9<"$1"
  flock 9
  "$2"
  # A process started later must not hold the lock.
  exec 9<&-
}

# Installs the dependencies if package-lock.json is newer than npm's record of the installed packages.
prepare_install() {
  prepare_node
  prepare_installed || prepare_alone . prepare_install_now
}

prepare_installed() {
  [[ node_modules/.package-lock.json -nt package-lock.json ]]
}

prepare_install_now() {
  if prepare_installed; then return; fi
  prepare_say 'installing dependencies, which takes a moment'
  prepare_offline || prepare_quietly npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
}

# Seconds for which the registry is waited for.
PREPARE_REGISTRY_S=12

# Where the registry cannot be reached, says so, which npm itself would do after minutes, and installs from npm's cache;
# if that does not suffice, ends the script. Fails where the registry can be reached, or refuses.
prepare_offline() {
  local answer code=0
  answer=$(prepare_within "$PREPARE_REGISTRY_S" \
    npm view yaml name --prefer-online --fetch-retries=0 --fetch-timeout=$((PREPARE_REGISTRY_S * 1000)) 2>&1) || code=$?
  # npm tells network errors by the codes of the system, and answers of the registry as E404 or E401.
  if ((code == 0)) || grep -Eq 'code E[0-9]{3}' <<<"$answer"; then return 1; fi
  prepare_say "the package registry $(npm config get registry) cannot be reached, which a first start needs."
  prepare_say 'Behind a proxy, set HTTPS_PROXY and HTTP_PROXY, and NO_PROXY for what needs none, as in'
  prepare_say "HTTPS_PROXY=http://proxy.example.com:3128 ./${0##*/}; for a mirror, set npm_config_registry."
  if ((code != PREPARE_TOO_LATE)); then printf '%s\n' "$answer" | head -n 5 >&2; fi
  prepare_say "trying with what is in npm's cache"
  npm ci --offline --no-audit --no-fund --loglevel=error >/dev/null 2>&1 && return
  prepare_say "npm's cache has not all packages"
  exit 1
}

# Exit code of a command that was ended for taking too long, as of timeout(1), which macOS has not.
PREPARE_TOO_LATE=124

# Runs a command for so many seconds at most.
prepare_within() {
  local tenths=$(($1 * 10)) command
  shift
  "$@" &
  command=$!
  while kill -0 "$command" 2>/dev/null; do
    if ((tenths-- == 0)); then
      kill -KILL "$command" 2>/dev/null || true
      return "$PREPARE_TOO_LATE"
    fi
    sleep 0.1
  done
  wait "$command"
}

# Whether a source is newer than this file, or was removed since. Further arguments are paths to ignore, as ./path.
prepare_changed_since() {
  local file=$1 left_out
  shift
  local prune=(-path './.*' -o -path ./node_modules -o -path ./dist -o -path ./data -o -path ./coverage -o -name target)
  for left_out in "$@"; do prune+=(-o -path "$left_out"); done
  [[ ! -f $file ]] && return
  # A removed file changes the time of its folder. The project's own folder does not count: it may get data and logs.
  [[ -n $(find . -mindepth 1 \( "${prune[@]}" \) -prune -o \
    \( -type d -o -name '*.ts' -o -name '*.json' -o -name '*.js' -o -name '*.cjs' -o -name '*.html' -o -name '*.css' -o -name '*.svg' \) \
    -newer "$file" -print) ]]
}

# Builds dist if a source is newer than the last build, or was removed since.
prepare_build() {
  prepare_built || prepare_alone . prepare_build_now
}

prepare_built() {
  ! prepare_changed_since dist/.built ./test ./bench ./docs ./examples ./scripts
}

prepare_build_now() {
  if prepare_built; then return; fi
  prepare_say 'building'
  # The time before the build: changes during the build are built the next time.
  local began
  began=$(mktemp)
  prepare_quietly npm run --silent build
  mv "$began" dist/.built
}

# Checks types and style, unless nothing has changed since the last success. Prints the findings.
prepare_checks() {
  if [[ dist/.checked -nt .dependency-cruiser.cjs ]] && ! prepare_changed_since dist/.checked; then return; fi
  # The time before the checks: changes during the checks are checked the next time.
  local began
  began=$(mktemp)
  npm run --silent typecheck
  npm run --silent lint
  mv "$began" dist/.checked
}

# Builds the MongoDB-wire emulator, which only tests need, if its source is newer than the last build.
prepare_mongo_wire() {
  prepare_mongo_wire_built || prepare_alone test/support/mongo-wire prepare_mongo_wire_now
}

prepare_mongo_wire_built() {
  [[ -f test/support/mongo-wire/target/.built && -z $(find test/support/mongo-wire/pom.xml test/support/mongo-wire/src -newer test/support/mongo-wire/target/.built -print) ]]
}

prepare_mongo_wire_now() {
  if prepare_mongo_wire_built; then return; fi
  if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
    prepare_say 'tests of the MongoDB store need Maven and a JDK 17 or newer (mvn, java), which were not found'
    exit 1
  fi
  prepare_say 'building the MongoDB-wire emulator'
  local began
  began=$(mktemp)
  prepare_quietly mvn -q -B -f test/support/mongo-wire/pom.xml compile dependency:copy-dependencies -DoutputDirectory=target/dependency
  mv "$began" test/support/mongo-wire/target/.built
}

# Installs the Python clients that the tests register with, one folder for each list of requirements.
prepare_python() {
  prepare_python_installed || prepare_alone test/service/socket-io/python prepare_python_now
}

prepare_python_installed() {
  local list
  for list in test/service/socket-io/python/requirements-*.txt; do
    [[ .python/.installed -nt $list ]] || return 1
  done
}

prepare_python_now() {
  if prepare_python_installed; then return; fi
  local pip list name
  if python3 -m pip --version >/dev/null 2>&1; then
    pip=(python3 -m pip)
  elif python3 -m venv .python/pip >/dev/null 2>&1; then
    pip=(.python/pip/bin/python -m pip)
  else
    prepare_say 'the tests need Python 3.8 or newer with pip or venv (python3-pip or python3-venv) for clients in Python'
    exit 1
  fi
  prepare_say 'installing the Python clients of the tests'
  for list in test/service/socket-io/python/requirements-*.txt; do
    name=${list##*requirements-}
    name=${name%.txt}
    rm -rf ".python/$name"
    prepare_quietly "${pip[@]}" install --quiet --disable-pip-version-check --target ".python/$name" --requirement "$list"
  done
  touch .python/.installed
}
