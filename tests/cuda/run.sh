#!/bin/sh
# Checks the GPU side without a GPU: the kernels' source is emulated on the CPU (needs a C++ compiler) and
# compiled to PTX by NVRTC (fetched by pip into target/nvrtc). Nothing is skipped: what is missing fails.
#
#   tests/cuda/run.sh [ARGUMENTS OF cargo test...]
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${CARGO_TARGET_DIR:-$root/target}/nvrtc

"${CXX:-c++}" --version >/dev/null 2>&1 || {
    echo "$0: no C++ compiler (install g++, or set CXX)" >&2
    exit 2
}
if ! [ -x "$venv/bin/pip" ]; then
    python3 -m venv "$venv" || {
        echo "$0: python3 with its venv module is needed to fetch NVRTC" >&2
        exit 2
    }
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$root/tests/cuda/requirements.txt"
library=$(find "$venv" -name 'libnvrtc.so.*' | head -n 1)
LD_LIBRARY_PATH=$(dirname "$library")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
export RETINANET_REQUIRE_CUDA_EMULATION=1 RETINANET_REQUIRE_NVRTC=1
cd "$root"
cargo test --workspace --features retinanet-tests/cudnn --test cuda "$@"
# The program for machines with a GPU, on an emulated one.
cargo build --workspace --features retinanet-tests/cudnn --bin gpu_check
"${CARGO_TARGET_DIR:-target}/debug/gpu_check" --quick --emulate
"${CARGO_TARGET_DIR:-target}/debug/gpu_check" --quick --emulate --fast
