#!/usr/bin/env bash
# Builds the wheel for 64-bit ARM Linux from an x86-64 machine, and tests it there on an emulated one:
#
#   crates/python/wheels.sh
#
# ARM's CPython comes from Debian's packages and numpy from PyPI, both unpacked into target/python-aarch64 and installed
# nowhere. Needs Debian's emulator, ARM compiler and (as the toolchain's installer has no ARM standard library to offer
# here) Rust compiler, and installs what is missing. By name alone in CI: it compiles everything once more.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/python-aarch64
target=aarch64-unknown-linux-gnu
packages=(libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 zlib1g)
mkdir -p "$work"

missing=()
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
[ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing+=(libc6-dev-arm64-cross)
[ -x /usr/bin/rustc ] || missing+=(rustc-web)
ls /usr/lib/rustlib/$target/lib/libstd-*.rlib >/dev/null 2>&1 || missing+=(libstd-rust-web-dev:arm64)
dpkg --print-foreign-architectures | grep -qx arm64 || { dpkg --add-architecture arm64 && apt-get update -q; }
[ ${#missing[@]} -eq 0 ] || apt-get install -y -q --no-install-recommends "${missing[@]}"

[ -x "$work/tools/bin/maturin" ] || {
    python3 -m venv "$work/tools"
    "$work/tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements-build.txt"
}
rm -rf "$work/wheels"
RUSTC=/usr/bin/rustc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CARGO_TARGET_DIR=$work \
    "$work/tools/bin/maturin" build --release --locked --quiet --manifest-path "$here/Cargo.toml" \
    --target $target --out "$work/wheels"
ls -l "$work"/wheels/*.whl

# An ARM Python that is installed nowhere.
arm=$work/arm site=$work/site
[ -x "$arm/usr/bin/python3" ] || {
    version=$(apt-cache depends python3-minimal:arm64 | grep -om1 'python3\.[0-9]*-minimal' | tr -dc 0-9.)
    rm -rf "$arm" "$work/debs" && mkdir -p "$arm" "$work/debs"
    packages+=("python$version-minimal" "libpython$version-minimal" "libpython$version-stdlib")
    (cd "$work/debs" && apt-get download -q "${packages[@]/%/:arm64}")
    for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$arm"; done
    ln -s "python$version" "$arm/usr/bin/python3"
}
emulated() { qemu-aarch64 -L "$arm" -E PYTHONPATH="$site" "$arm/usr/bin/python3" "$@"; }

version=$(emulated -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ -d "$work/numpy" ] ||
    "$work/tools/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version "$version" \
        --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --dest "$work/numpy" numpy
rm -rf "$site"
for wheel in "$work"/numpy/*.whl "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done
emulated "$here/tests/emulated.py"
