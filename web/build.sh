#!/usr/bin/env bash
# Builds the page into target/web/page, a folder of plain files that any web server can hand out. With `--page` alone, the
# modules that `crates/web/build.sh` makes are taken as they are.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/web
page=$work/page

[ "${1-}" = --page ] || sh "$root/crates/web/build.sh"

# The published digest is said once: in the examples.
digest=$(sed -n 's/^ *"\([0-9a-f]\{64\}\)";$/\1/p' "$root/examples/lib.rs")
[ "${#digest}" = 64 ] || { echo "$0: examples/lib.rs has no published digest where it is looked for" >&2; exit 1; }

rm -rf "$page"
mkdir -p "$page/sample"
cp "$here"/*.{html,css,js,svg} "$page/"
for module in simd relaxed; do
    mkdir "$page/$module"
    cp "$work/$module/retinanet_web.js" "$work/$module/retinanet_web_bg.wasm" "$page/$module/"
done
cp "$root"/examples/assets/{astronaut.png,person_r18.safetensors} "$page/sample/"
printf '{"picture": "astronaut.png", "weights": "person_r18.safetensors", "digest": "%s"}\n' "$digest" >"$page/sample/sample.json"
du -sh "$page"
