#!/bin/sh
# Builds the modules and checks them: the one for every browser in Node, both as an npm package in Node and in Chromium.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/web

sh "$here/build.sh"
[ -d "$work/npm/node_modules/puppeteer-core" ] ||
    npm install --prefix "$work/npm" --no-audit --no-fund --silent puppeteer-core@24
echo "--- simd, Node $(node --version)"
node "$here/tests/node.mjs" "$work/simd"
echo "--- the npm package"
sh "$here/npm/test.sh"

# browser MODULE LEVEL: the checks in Chromium, which must find that level.
browser() {
    echo "--- $1, $(chromium --version)"
    rm -rf "$work/site"
    mkdir -p "$work/site"
    cp -r "$work/$1" "$work/site/module"
    cp "$here/tests/checks.mjs" "$here/tests/made.mjs" "$here/tests/browser.html" "$root"/examples/assets/* "$work/site/"
    node "$here/tests/browser.mjs" "$work/site" "$2" "$work/npm"
}

browser simd portable
browser relaxed relaxed-simd
