#!/bin/bash
# Shows what only a GPU can show: bits against the CPU's, memory checks, and times beside PyTorch's.
#
#   tests/cuda/run_on_gpu.sh                 build here and run here
#   tests/cuda/run_on_gpu.sh build           build and pack only; no GPU and no CUDA toolkit needed
#   tests/cuda/run_on_gpu.sh run [STAGE..]   run what was built, all stages or some, on the GPU's machine
#
# `build` leaves target/gpu/: stripped programs and kernels compiled for common chips, so that the other machine
# needs neither a compiler nor NVRTC; the repository and that folder are what has to travel (target/gpu/ALONE says
# how large it is). `run` needs the NVIDIA driver, and for the fast mode cuDNN 9, which is found on the loader's
# path, in the Python environment's packages (PyTorch brings it) or beside the driver. compute-sanitizer and
# PyTorch are used where they are installed.
#
# Each stage has its own file of results and a time limit, and none needs another to have passed. The results lie
# in target/gpu/results, or where $OUT says.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 2
packed=target/gpu
out=${OUT:-$packed/results}

build() {
    set -e
    local venv=${CARGO_TARGET_DIR:-target}/nvrtc library
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/cuda/requirements.txt
    library=$(find "$venv" -name 'libnvrtc.so.*' | head -n 1)
    mkdir -p "$packed/kernels"
    cargo build --release --workspace --features retinanet-tests/cudnn --bin gpu_check
    cp "${CARGO_TARGET_DIR:-target}/release/gpu_check" "$packed/gpu_check"
    # The tests themselves, to be run on the GPU: the path is in cargo's messages.
    cargo test --release --workspace --features retinanet-tests/cudnn --test cuda --no-run --message-format=json |
        python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "cuda":
        print(message["executable"])' >"$packed/path"
    cp "$(tail -n 1 "$packed/path")" "$packed/kernel_tests"
    rm "$packed/path"
    strip "$packed/gpu_check" "$packed/kernel_tests"
    LD_LIBRARY_PATH=$(dirname "$library") "$packed/gpu_check" --prepare "$packed/kernels"
    du -sh "$packed" --exclude results | tee "$packed/ALONE"
    set +e
}

# One after the other: number, name, minutes, command.
stages=(1 2 3 4 5 6 7 8)
stage_1() { describe && kernels; }
title_1="the machine, and every kernel against the CPU"; minutes_1=3
describe() {
    nvidia-smi 2>&1
    "$packed/gpu_check" --describe
}
kernels() {
    RETINANET_CUDA_DEVICE=0 RETINANET_CUDA_SHELF=$packed/kernels \
        "$packed/kernel_tests" kernels:: --test-threads=4 --nocapture
}
title_2="bits: two small networks, alone and together"; minutes_2=2
stage_2() { "$packed/gpu_check" --shelf "$packed/kernels" --quick; }
title_3="times of the deterministic network"; minutes_3=3
stage_3() { "$packed/gpu_check" --shelf "$packed/kernels" --part times --json "$out/ours.json"; }
title_4="PyTorch's times"; minutes_4=6
stage_4() {
    python3 -c 'import torch, torchvision' || return 77
    python3 tests/cuda/peers.py | tee "$out/peers.jsonl"
    return "${PIPESTATUS[0]}"
}
title_5="bits: v1, v2, the bundled model and odd ones, 100 runs, batches"; minutes_5=8
stage_5() { "$packed/gpu_check" --shelf "$packed/kernels" --part bits; }
title_6="cuDNN, fast: how near, how fast"; minutes_6=5
stage_6() { "$packed/gpu_check" --shelf "$packed/kernels" --fast --json "$out/fast.json"; }
title_7="cuDNN, pinned, in two processes"; minutes_7=6
stage_7() {
    local run
    export CUBLAS_WORKSPACE_CONFIG=:4096:8 NVIDIA_TF32_OVERRIDE=0
    for run in 1 2; do
        "$packed/gpu_check" --shelf "$packed/kernels" --pinned --runs 20 --json "$out/pinned.json" |
            tee "$out/pinned.$run.txt"
        [ "${PIPESTATUS[0]}" = 0 ] || return 1
        grep runs "$out/pinned.$run.txt" >"$out/bits.$run.txt"
    done
    cmp "$out/bits.1.txt" "$out/bits.2.txt" && echo "two processes: the same bits"
}
title_8="compute-sanitizer"; minutes_8=8
stage_8() {
    local tool sanitizer status=0
    sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | tail -n 1)
    [ -n "$sanitizer" ] || return 77
    for tool in memcheck racecheck initcheck synccheck; do
        echo "--- $tool"
        "$sanitizer" --tool $tool --error-exitcode 9 "$packed/gpu_check" --shelf "$packed/kernels" --quick || status=1
    done
    return $status
}

run() {
    local number title minutes status worst=0 folder
    [ -x "$packed/gpu_check" ] || { echo "$0: nothing is built: run '$0 build' first" >&2; exit 2; }
    mkdir -p "$out"
    local packages
    packages=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)
    for folder in "$packages"/nvidia/*/lib /usr/local/nvidia/lib64 /usr/local/cuda/lib64; do
        [ -d "$folder" ] && LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    done
    export LD_LIBRARY_PATH out packed
    for number in "$@"; do
        title=title_$number; minutes=minutes_$number
        [ -n "${!title:-}" ] || { echo "$0: there is no stage $number; there are: ${stages[*]}" >&2; exit 2; }
        printf '\n=== stage %s: %s (at %d s)\n' "$number" "${!title}" "$SECONDS"
        timeout --kill-after=10 $((${!minutes} * 60)) bash "$0" stage "$number" >"$out/stage-$number.txt" 2>&1
        status=$?
        tail -n "${LINES_SHOWN:-60}" "$out/stage-$number.txt"
        case $status in
            0) echo "stage $number: passed" ;;
            77) echo "stage $number: skipped, what it needs is not installed" ;;
            124 | 137) echo "stage $number: stopped after ${!minutes} minutes" ;;
            *) echo "stage $number: FAILED (exit status $status)" ;;
        esac | tee -a "$out/verdicts.txt"
        case $status in 0 | 77) ;; *) worst=1 ;; esac
    done
    printf '\n=== verdicts (after %d s)\n' "$SECONDS"
    sort -u "$out/verdicts.txt"
    return $worst
}

command=${1:-all}
[ $# -gt 0 ] && shift
case $command in
    build) build ;;
    run) [ $# -gt 0 ] || set -- "${stages[@]}"; rm -f "$out/verdicts.txt"; run "$@" ;;
    stage) "stage_$1" ;;
    all) build; rm -f "$out/verdicts.txt"; run "${stages[@]}" ;;
    *) echo "usage: $0 [build | run [STAGE..]]" >&2; exit 2 ;;
esac
