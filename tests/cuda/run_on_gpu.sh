#!/bin/sh
# Shows what only a GPU can show: bits against the CPU's, memory checks, and times beside PyTorch's.
#
#   tests/cuda/run_on_gpu.sh            build here and run here
#   tests/cuda/run_on_gpu.sh build      build only; no GPU and no CUDA toolkit needed
#   tests/cuda/run_on_gpu.sh run        run what was built, from the repository's root on the GPU's machine
#
# Needs the NVIDIA driver, NVRTC and, for the fast mode, cuDNN 9; both are found in the Python environment's
# packages (PyTorch brings them) or on LD_LIBRARY_PATH. compute-sanitizer and PyTorch are used where they are installed. The tables also
# go to target/gpu/.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
out=${OUT:-target/gpu}
program=target/gpu/gpu_check

build() {
    cargo build --release --workspace --features retinanet-tests/cudnn --bin gpu_check
    mkdir -p target/gpu
    cp "${CARGO_TARGET_DIR:-target}/release/gpu_check" "$program"
    # It may have to travel.
    strip "$program" 2>/dev/null || true
}

run() {
    mkdir -p "$out"
    packages=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null || true)
    for folder in "$packages"/nvidia/*/lib; do
        [ -d "$folder" ] && LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    done
    export LD_LIBRARY_PATH
    status=0
    echo "== bits and times"
    "$program" --json "$out/ours.json" >"$out/check.txt" 2>&1 || status=1
    cat "$out/check.txt"
    echo "== cuDNN, fast"
    "$program" --fast --json "$out/fast.json" >"$out/fast.txt" 2>&1 || status=1
    cat "$out/fast.txt"
    echo "== cuDNN, pinned, in two processes"
    for run in 1 2; do
        CUBLAS_WORKSPACE_CONFIG=:4096:8 NVIDIA_TF32_OVERRIDE=0 \
            "$program" --pinned --runs 20 --json "$out/pinned.json" >"$out/pinned.$run.txt" 2>&1 || status=1
    done
    cat "$out/pinned.1.txt"
    grep runs "$out/pinned.1.txt" >"$out/bits.1.txt" || status=1
    grep runs "$out/pinned.2.txt" >"$out/bits.2.txt" || status=1
    cmp "$out/bits.1.txt" "$out/bits.2.txt" || status=1
    if command -v compute-sanitizer >/dev/null 2>&1; then
        for tool in memcheck racecheck initcheck synccheck; do
            echo "== compute-sanitizer $tool"
            compute-sanitizer --tool $tool --error-exitcode 9 "$program" --quick >"$out/$tool.txt" 2>&1 || status=1
            tail -n 3 "$out/$tool.txt"
        done
    else
        echo "compute-sanitizer is not installed: skipped"
    fi
    echo "== PyTorch"
    if python3 -c 'import torch, torchvision' 2>/dev/null; then
        python3 tests/cuda/peers.py | tee "$out/peers.jsonl" || status=1
    else
        echo "PyTorch is not installed: skipped"
    fi
    return $status
}

case ${1:-all} in
    build) build ;;
    run) run ;;
    all) build && run ;;
    *) echo "usage: $0 [build|run]" >&2; exit 2 ;;
esac
