#!/usr/bin/env bash
# The same bits on other CPUs. Runs kernel_digest (all kernels) and reduced_detection (two small networks,
# one of each kind of head) natively at every level this CPU has and on emulated x86 chips (Haswell: AVX2;
# SandyBridge: AVX without FMA; Nehalem: neither), and compares what they print; the decoder's pinned pixels are tested on
# the emulated chips too. On emulated 64-bit ARM it runs kernel_digest, and with WHOLE_LIBRARY_ON_ARM=1,
# which compiles the library once more, the rest.
#
# Needs Debian's emulators and ARM compiler, and installs what is missing. Where it cannot, it says
# SKIPPED and succeeds; with REQUIRE_OTHER_CPUS=1 that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0

give_up() {
    echo "SKIPPED other CPUs: $1"
    [ "${REQUIRE_OTHER_CPUS:-0}" != 1 ] || { echo "REQUIRE_OTHER_CPUS=1, so this is a failure"; exit 1; }
    exit 0
}

install() {
    local missing=()
    command -v qemu-x86_64 >/dev/null && command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
    command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
    [ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing+=(libc6-dev-arm64-cross)
    # Debian's compiler, because the toolchain's installer has no ARM standard library to offer here.
    [ -x /usr/bin/rustc ] || missing+=(rustc-web)
    ls /usr/lib/rustlib/aarch64-unknown-linux-gnu/lib/libstd-*.rlib >/dev/null 2>&1 || missing+=(libstd-rust-web-dev:arm64)
    [ ${#missing[@]} -eq 0 ] && return
    echo "installing ${missing[*]}"
    local log=$out/apt.log
    { dpkg --add-architecture arm64 && apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1 </dev/null || { tail -n 5 "$log"; give_up "apt-get cannot install ${missing[*]}"; }
}

# The first run's output is what all others must equal.
# same PROGRAM WHERE COMMAND...
same() {
    local program=$1 where=$2 file
    shift 2
    file="$out/$program.$((passed + failed))"
    if ! "$@" >"$file" 2>"$out/stderr"; then
        echo "FAILED $program on $where:"
        tail -n 5 "$out/stderr"
        failed=$((failed + 1))
    elif [ ! -e "$out/$program" ]; then
        cp "$file" "$out/$program"
        echo "$program on $where, what all others must print:"
        cat "$file"
        passed=$((passed + 1))
    elif cmp -s "$out/$program" "$file"; then
        echo "equal: $program on $where"
        passed=$((passed + 1))
    else
        echo "DIFFERENT: $program on $where"
        diff "$out/$program" "$file" | head -n 20 || true
        failed=$((failed + 1))
    fi
}

# pixels WHERE CARGO_TEST_OPTIONS...: the decoder's tests, through the runner the caller has set.
pixels() {
    local where=$1
    shift
    if cargo test -q "$@" --lib image::tests::pixels </dev/null; then
        echo "equal: decoded pixels on $where"
        passed=$((passed + 1))
    else
        echo "DIFFERENT: decoded pixels on $where"
        failed=$((failed + 1))
    fi
}

x86_64() {
    # The whole workspace is named so that features, and with them the builds, are those of `cargo test`.
    cargo build --workspace --bin reduced_detection --example kernel_digest
    local level chip program path
    for program in kernel_digest reduced_detection; do
        path=target/debug/$program
        [ $program = kernel_digest ] && path=target/debug/examples/$program
        for level in portable avx avx2 avx512; do
            if [ $level = portable ] || grep -qw "${level/avx512/avx512f}" /proc/cpuinfo; then
                same $program "this CPU, $level" env RETINANET_CPU_LEVEL=$level "$path"
            else
                echo "SKIPPED level $level: this CPU does not have it"
            fi
        done
        for chip in Haswell SandyBridge Nehalem; do
            same $program "$chip" qemu-x86_64 -cpu $chip "$path"
        done
    done
    for chip in Haswell SandyBridge Nehalem; do
        CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="qemu-x86_64 -cpu $chip" pixels "$chip" --workspace
    done
}

aarch64() {
    export RUSTC=/usr/bin/rustc
    export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
    # Optimised are the kernels, which must be as they ship, and the decoder; the rest builds faster without.
    local options=(
        --target aarch64-unknown-linux-gnu --target-dir target/other_cpus --no-default-features
        --config 'profile.dev.package."*".opt-level=0'
        --config 'profile.dev.package.retinanet.opt-level=1'
        --config 'profile.dev.package.retinanet-jpeg.opt-level=3'
        # Its half-precision assembly does not assemble unoptimised.
        --config 'profile.dev.package.gemm-f16.opt-level=3'
        --config 'profile.dev.debug=false'
        --config 'profile.dev.build-override.opt-level=0'
    )
    local built=target/other_cpus/aarch64-unknown-linux-gnu/debug
    cargo build "${options[@]}" -p retinanet-kernels --example kernel_digest
    same kernel_digest "64-bit ARM" qemu-aarch64 $built/examples/kernel_digest
    if [ "${WHOLE_LIBRARY_ON_ARM:-0}" = 1 ]; then
        cargo build "${options[@]}" -p retinanet-tests --bin reduced_detection
        same reduced_detection "64-bit ARM" qemu-aarch64 $built/reduced_detection
        pixels "64-bit ARM" "${options[@]}" -p retinanet
    else
        echo "SKIPPED detection and decoder on 64-bit ARM: WHOLE_LIBRARY_ON_ARM=1 compiles the library for it"
    fi
}

[ "$(uname -m)" = x86_64 ] || give_up "this script starts from an x86-64 machine"
install
x86_64
aarch64
echo "other CPUs: $passed passed, $failed failed"
[ $failed -eq 0 ]
