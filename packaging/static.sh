#!/usr/bin/env bash
# Builds the command as a static program and runs it in an empty root that has nothing but it, the bundled checkpoint and
# the bundled photo: no libc, no /proc, no /tmp. What a container of `Containerfile` is, without a container engine.
#
#   packaging/static.sh
#
# Needs the toolchain's standard library for musl, and a C compiler for it (Debian's musl-tools), and installs both.
set -euo pipefail
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-musl
built=${CARGO_TARGET_DIR:-target}/musl
digest=3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5

[ "$(uname -m)" = x86_64 ] || { echo "this script builds for x86-64"; exit 1; }
rustup target list --installed | grep -qx $target || rustup target add $target
command -v musl-gcc >/dev/null || apt-get install -y -q --no-install-recommends musl-tools
CC_x86_64_unknown_linux_musl=musl-gcc cargo build --release --locked --bin retinanet --target $target --target-dir "$built"

program=$built/$target/release/retinanet
headers=$(readelf --wide --program-headers --sections "$program")
case $headers in *INTERP*) echo "$program asks for a loader: it is not static"; exit 1 ;; esac
case $headers in *.debug_info* | *.symtab*) echo "$program is not stripped"; exit 1 ;; esac
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp "$program" examples/assets/person_r18.safetensors examples/assets/astronaut.png "$root"
answer=$(unshare --map-root-user chroot "$root" /retinanet -q detect --weights person_r18.safetensors --json - astronaut.png)
grep -q "$digest" <<<"$answer" || { echo "another answer than the published one: $answer"; exit 1; }
echo "static, stripped, $(stat -c %s "$program") bytes: in an empty root it gives the published digest"
