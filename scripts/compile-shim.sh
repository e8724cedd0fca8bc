#!/usr/bin/env bash
# Makes src/vm/process/shim/{x64,arm64}/monocore-shim, as Node names architectures, of shim.c beside them. The results are
# committed, so that neither a build nor a run needs a compiler. Needs the packages gcc-x86-64-linux-gnu and
# gcc-aarch64-linux-gnu.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../src/vm/process/shim"

sha256=$(sha256sum shim.c)

compile() {
  # One small segment: without -n each section would begin a page of its own.
  "$1-linux-gnu-gcc" -std=gnu11 -Wall -Wextra -Werror -Os -ffreestanding -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fno-pie -fno-ident -static -nostdlib -no-pie -s \
    -Wl,-n,--build-id=none,-z,noexecstack -DSOURCE_SHA256="\"${sha256%% *}\"" -o "$2" shim.c
}
compile x86_64 x64/monocore-shim
compile aarch64 arm64/monocore-shim
