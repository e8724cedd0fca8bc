#!/usr/bin/env bash
# Proves that a change is done: `scripts/test.sh`. Prepares the host and the checkout first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
npm run --silent test:programs
npm run --silent check
npm run --silent compile -- --check
npm test --silent -- --long
