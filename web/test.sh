#!/usr/bin/env bash
# Builds the page, and checks it in Chromium and, where it is there, in Firefox: `bash web/test.sh`, or with their names to check
# in these alone. CHROMIUM and FIREFOX name other programs, RETINANET a command that is built already. With `--page` as the
# first word, the modules are taken as they are.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
npm=$target/web/page-tools
browsers=()
build=()
for word in "$@"; do
    if [ "$word" = --page ]; then build=(--page); else browsers+=("$word"); fi
done
if [ ${#browsers[@]} = 0 ]; then
    browsers=(chromium)
    if [ -x "${FIREFOX:-/usr/bin/firefox-esr}" ]; then browsers+=(firefox); else echo "Firefox is not here: not checked in it"; fi
fi

bash "$here/build.sh" "${build[@]}"
[ -d "$npm/node_modules/puppeteer-core" ] && [ -d "$npm/node_modules/axe-core" ] ||
    npm install --prefix "$npm" --no-audit --no-fund --silent puppeteer-core@24 axe-core@4
if [ -z "${RETINANET-}" ]; then
    cargo build --quiet --bin retinanet --manifest-path "$root/Cargo.toml"
    RETINANET=$target/debug/retinanet
fi
node "$here/tests/run.mjs" "$target/web/page" "$npm" "$RETINANET" "${browsers[@]}"
