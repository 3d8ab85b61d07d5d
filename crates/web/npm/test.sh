#!/bin/sh
# Packs the npm package from the built modules (crates/web/build.sh), installs it elsewhere, compiles an example against its
# types and runs that in Node.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/web/package

rm -rf "$work/content" "$work/user/node_modules/retinanet-detector"
mkdir -p "$work/content" "$work/user"
cp "$here/package.json" "$here/index.js" "$here/index.d.ts" "$here/README.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$work/content/"
for module in simd relaxed; do
    mkdir "$work/content/$module"
    cp "$work/../$module/retinanet_web.js" "$work/../$module/retinanet_web_bg.wasm" "$work/content/$module/"
done
cd "$work"
packed=$(npm pack --silent "$work/content")
ls -l "$work/$packed"
cd "$work/user"
cp "$here/test/example.ts" .
printf '{"type": "module", "private": true}\n' >package.json
npm install --no-audit --no-fund --silent "$work/$packed" typescript@5 @types/node@20
npx tsc --strict --module nodenext --target es2022 --types node --exactOptionalPropertyTypes example.ts
# Node 20 has relaxed SIMD behind this option; later ones know it no more.
option=--experimental-wasm-relaxed-simd
node "$option" -e "" 2>/dev/null || option=--no-warnings
node "$option" example.js "$root/examples/assets" relaxed
