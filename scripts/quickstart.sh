#!/usr/bin/env bash
# Boots the demo, shows it and stops it again: `scripts/quickstart.sh [--keep]`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage='usage: scripts/quickstart.sh [--keep]
  --keep  leave the demo running'

keep=no
case $* in
  '') ;;
  --keep) keep=yes ;;
  -h | --help)
    echo "$usage"
    exit
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac

readonly config=scripts/demo.toml

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
heading() { printf '\n%s== %s ==%s\n' "$bold" "$*" "$plain"; }

monocore() { node dist/src/cli/bin.js "$@"; }

# no: nothing to stop; services: only the demo's; daemon: the daemon too, which this script started.
to_stop=no

stop_demo() {
  # The services of other projects are left alone, and so is a daemon that ran before.
  monocore stop --file "$config" && { [[ $to_stop == services ]] || monocore daemon stop --leave-running; }
}

finish() {
  local exit_code=$?
  trap - EXIT INT TERM
  if [[ $to_stop != no && ($keep == no || $exit_code != 0) ]]; then
    heading 'Stopping'
    stop_demo || exit_code=1
  fi
  exit "$exit_code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints the first address of the service site, as `monocore status --json` has it.
web_address() {
  monocore status site --json | node -e '
    const { services } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    const address = services[0]?.addresses[0];
    if (address === undefined) throw new Error("the service site has no address");
    console.log(address);
  '
}

# Fetches $1 once it answers: the service needs a moment from its start to its listening socket.
fetch() {
  local attempt
  for attempt in {1..60}; do
    if curl --silent --fail --max-time 5 "$1"; then return; fi
    if ((attempt < 60)); then sleep 0.5; fi
  done
  echo "quickstart: $1 did not answer; what the service printed:" >&2
  monocore logs site -n 20 >&2
  return 1
}

heading 'Setting up'
scripts/setup.sh
echo 'everything is there'

heading "Starting the services of $config"
if monocore daemon status >/dev/null 2>&1; then to_stop=services; else to_stop=daemon; fi
monocore start --file "$config"

heading 'Status'
monocore status --file "$config"

heading 'What the service site answers'
address=$(web_address)
echo "GET $address"
fetch "$address"

heading 'What the services printed last'
monocore logs --file "$config" -n 12

if [[ $keep == yes ]]; then
  heading 'The demo keeps running'
  echo "open       $address"
  # Not by npx, which remembers a checkout that was not built yet.
  readonly command="node $PWD/dist/src/cli/bin.js"
  echo "follow     $command logs --file $config --follow"
  echo "stop it    $command stop --file $config"
  echo "end all    $command daemon stop"
fi
