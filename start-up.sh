#!/usr/bin/env bash
# Starts the System Manager: installs and builds what is missing or out of date, then runs the server.
#   ./start-up.sh            the server; its settings are environment variables, --help lists them
#   ./start-up.sh --demo     the server with two simulated clusters, and a service deployed to them
set -euo pipefail
# Also where this is started by a symlink.
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"

# If stdin is closed, the next file to be opened would become stdin.
{ : <&0; } 2>/dev/null || exec </dev/null

# shellcheck source=scripts/prepare.sh
source scripts/prepare.sh

demo=''
help=''
arguments=()
for argument in "$@"; do
  case $argument in
    --demo) demo=1 ;;
    --help | -h) help=1 ;;
    *) arguments+=("$argument") ;;
  esac
done

if [[ -n $help ]]; then
  cat <<'END'
Usage: ./start-up.sh           install and build what is missing or out of date, and start the server
       ./start-up.sh --demo    also start two simulated clusters, and deploy a service to them

What it starts:

END
fi

prepare_install
prepare_build

if [[ -n $help ]]; then exec node dist/server.js --help; fi

# The expansion with + is for bash 3 and 4.3, where an empty array counts as unset.
if [[ -z $demo ]]; then
  exec node dist/server.js ${arguments[@]+"${arguments[@]}"}
fi

port=${MY_PORT:-10000}
if [[ $port == 0 ]]; then
  prepare_say 'the demo needs to know the port: set MY_PORT to a value other than 0'
  exit 1
fi
# The demo must not deploy to another System Manager that happens to be there.
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  prepare_say "port $port is taken; choose another: MY_PORT=10001 ./start-up.sh --demo"
  exit 1
fi

export LOG_LEVEL="${LOG_LEVEL:-warn}"
server_pid=''
demo_pid=''
interrupted=''
ending=''

end_both() {
  interrupted=1
  ending=1
  kill -TERM ${server_pid:+"$server_pid"} ${demo_pid:+"$demo_pid"} 2>/dev/null || true
}
trap end_both INT TERM HUP

# Own process groups: Ctrl-C reaches only this script, which then ends both, each once.
set -m
node dist/server.js ${arguments[@]+"${arguments[@]}"} </dev/null &
server_pid=$!
node dist/simulator/demo.js </dev/null &
demo_pid=$!
set +m
# A signal may have come before the processes were started.
if [[ -n $ending ]]; then end_both; fi

# A signal cuts `wait` short; the server is still closing then.
while :; do
  interrupted=''
  code=0
  wait "$server_pid" || code=$?
  [[ -n $interrupted ]] || break
done

if ((code != 0)); then prepare_say "the server ended with code $code"; fi
# Only once: a second signal would interrupt the graceful end of the demo.
if [[ -z $ending ]]; then kill -TERM "$demo_pid" 2>/dev/null || true; fi
wait "$demo_pid" 2>/dev/null || true
exit "$code"
