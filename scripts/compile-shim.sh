#!/usr/bin/env bash
# Makes the programs x64 and arm64 in src/vm/process/shim of shim.c beside them, named as Node names architectures. They
# are committed, so that neither a build nor a run needs a compiler. Needs the packages gcc-x86-64-linux-gnu and
# gcc-aarch64-linux-gnu.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../src/vm/process/shim"

compile() {
  # One small segment: without -n each section would begin a page of its own.
  "$1-linux-gnu-gcc" -std=gnu11 -Wall -Wextra -Werror -Os -ffreestanding -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fno-pie -fno-ident -static -nostdlib -no-pie -s \
    -Wl,-n,--build-id=none,-z,noexecstack -o "$2" shim.c
}
compile x86_64 x64
compile aarch64 arm64
