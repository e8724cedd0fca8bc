#!/usr/bin/env bash
# Installs the peers of `npm run bench:logs` from Debian's packages, as root: `scripts/bench/setup.sh`. No service of
# theirs is started. What is missing is left out of the measurement.
set -euo pipefail

# By program: the package is not always named after it.
declare -A packages=(
  [conmon]=conmon
  [multilog]=daemontools
  [s6-log]=s6
  [svlogd]=runit
  [rotatelogs]=apache2-utils
)

missing=()
for program in "${!packages[@]}"; do
  type -P "$program" >/dev/null || missing+=("${packages[$program]}")
done
((${#missing[@]} > 0)) || exit 0

if ((EUID != 0)); then
  echo "bench/setup: run this as root; it would install ${missing[*]}" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
