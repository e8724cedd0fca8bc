#!/usr/bin/env bash
# Makes workers/jobs/guest-image/run-as/programs.ts of the assembler sources beside it. The result is committed, so that neither a
# build nor a run needs an assembler. Needs the packages binutils-x86-64-linux-gnu and binutils-aarch64-linux-gnu.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../workers/jobs/run-as" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
  echo "/** run-as, static programs by architecture, compiled by scripts/compile-run-as.sh; base64 of ELF files. */"
  echo 'export const RUN_AS_PROGRAMS = {'
  for architecture in x86_64 aarch64; do
    prefix=$architecture-linux-gnu
    "$prefix-as" -o "$work/run-as.o" "$folder/$architecture.s"
    # One small segment: without -n each section would begin a page of its own.
    "$prefix-ld" -n -s --build-id=none -z noexecstack -o "$work/run-as" "$work/run-as.o"
    echo "  $architecture:"
    echo "    '$(base64 -w 0 "$work/run-as")',"
  done
  echo '} as const;'
} >"$work/programs.ts"
mv "$work/programs.ts" "$folder/programs.ts"
