#!/usr/bin/env bash
# Proves that a change is done: `scripts/test.sh`. Prepares the host and the checkout first.
set -euo pipefail

usage='usage: scripts/test.sh
  Runs every check and test, real VMs included. It takes no options; npm test has some.'

case $* in
  '') ;;
  -h | --help)
    echo "$usage"
    exit
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
npm run --silent test:programs
npm run --silent check
npm run --silent compile -- --check
npm test --silent -- --long
