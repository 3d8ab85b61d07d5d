#!/bin/sh
# Times this project's network against PyTorch, ONNX Runtime and OpenVINO, interleaved in one run.
#
#   benches/peers/run.sh [--threads 2] [--rounds 5] [--json record.json] [--ours "COMMAND"]
#
# The first run makes a Python environment (gigabytes, minutes) in $RETINANET_PEERS, by default
# ~/.cache/retinanet-peers. Options are those of compare.py (--help).
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cache=${RETINANET_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/retinanet-peers}
python=${PEERS_PYTHON:-$cache/venv/bin/python}
mkdir -p "$cache"
if [ -z "${PEERS_PYTHON:-}" ] && ! cmp -s "$here/requirements.txt" "$cache/installed.txt"; then
    python3 -m venv --clear "$cache/venv"
    "$python" -m pip install --quiet -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$cache/installed.txt"
fi
exec "$python" "$here/compare.py" --cache "$cache" "$@"
