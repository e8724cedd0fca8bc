#!/usr/bin/env bash
# Everything that must hold before a change is done: `scripts/test.sh`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
scripts/test-packages.sh
npm run --silent check
npm test --silent
