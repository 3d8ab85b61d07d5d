#!/bin/sh
# Times the WebAssembly modules beside ONNX Runtime Web on the bundled checkpoint's network, in Node, in one run:
#
#   sh benches/peers/web/run.sh [ROUNDS]
#
# Needs what crates/web/build.sh needs, Node and npm, and Python 3 for the export, whose environment (gigabytes) is the one of
# benches/peers/run.sh; PEERS_PYTHON names another Python.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/web/peers
cache=${RETINANET_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/retinanet-peers}
python=${PEERS_PYTHON:-$cache/venv/bin/python}

sh "$root/crates/web/build.sh"
mkdir -p "$work"
[ -d "$work/node_modules/onnxruntime-web" ] ||
    npm install --prefix "$work" --no-audit --no-fund --silent onnxruntime-web@1.30.0
if [ ! -e "$work/exported/input.json" ]; then
    if [ -z "${PEERS_PYTHON:-}" ] && ! cmp -s "$here/../requirements.txt" "$cache/installed.txt"; then
        python3 -m venv --clear "$cache/venv"
        "$python" -m pip install --quiet -r "$here/../requirements.txt"
        cp "$here/../requirements.txt" "$cache/installed.txt"
    fi
    "$python" "$here/export.py" "$work/exported"
fi
# Node 20 has relaxed SIMD behind this option; later ones know it no more.
option=--experimental-wasm-relaxed-simd
node "$option" -e "" 2>/dev/null || option=--no-warnings
exec node "$option" "$here/compare.mjs" "$target/web" "$work" "$work/exported" "${1:-5}"
