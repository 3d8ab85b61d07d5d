#!/bin/sh
# Builds the WebAssembly modules into target/web: `simd` for every browser, `relaxed` for those with relaxed SIMD.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/web
version=$(sed -n 's/^wasm-bindgen = "=\(.*\)"$/\1/p' "$here/Cargo.toml")

rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown ||
    rustup target add wasm32-unknown-unknown
[ "$("$work/tools/bin/wasm-bindgen" --version 2>/dev/null)" = "wasm-bindgen $version" ] ||
    cargo install wasm-bindgen-cli --version "$version" --quiet --root "$work/tools" --target-dir "$work/tools-build"

# build NAME TARGET-FEATURES
build() {
    CARGO_TARGET_DIR="$work/build-$1" RUSTFLAGS="-C target-feature=$2" cargo build --release --locked --quiet \
        --target wasm32-unknown-unknown --manifest-path "$here/Cargo.toml"
    rm -rf "${work:?}/$1"
    "$work/tools/bin/wasm-bindgen" --target web --remove-name-section --remove-producers-section --out-dir "$work/$1" \
        "$work/build-$1/wasm32-unknown-unknown/release/retinanet_web.wasm"
    ls -l "$work/$1/retinanet_web_bg.wasm"
}

build simd +simd128
build relaxed +simd128,+relaxed-simd
