"""Start-up and memory: from process start to the first printed detection, and the most memory it took.

    python cold_start.py --cache FOLDER --photo PHOTO [--rounds 3] [--threads 2] [--ours target/release/examples/one_detection]

Ours (from safetensors and from .pth) and torchvision's run in turn, each a process of its own, on the same
weights. Ours is `cargo build --release -p retinanet-benches --example one_detection`.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent


def checkpoints(cache):
    """The network's weights as .pth and .safetensors, made once."""
    files = [cache / "cold_start_v2.pth", cache / "cold_start_v2.safetensors"]
    if not all(file.exists() for file in files):
        import torch
        from safetensors.torch import save_file

        from weights import v2

        state = v2().state_dict()
        torch.save(state, files[0])
        save_file(state, files[1])
    return files


def run(command):
    """(seconds to the first line, peak MB)."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    first = process.stdout.readline()
    seconds = time.perf_counter() - start
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0 or not first:
        raise SystemExit(f"{command}: status {status}, first line {first}")
    return seconds, usage.ru_maxrss * 1024 / 1e6  # KiB on Linux


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--photo", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default=str(os.cpu_count()))
    parser.add_argument("--ours", default=str(HERE.parents[1] / "target/release/examples/one_detection"))
    args = parser.parse_args()
    pth, safetensors = map(str, checkpoints(args.cache))
    commands = {
        "ours, safetensors": [args.ours, safetensors, args.photo],
        "ours, .pth": [args.ours, pth, args.photo],
        "torchvision, .pth": [sys.executable, str(HERE / "one_detection.py"), pth, args.photo, args.threads],
    }
    results = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            results[name].append(run(command))
    print("| | first detection, min s | median s | peak MB |\n|---|---|---|---|")
    for name, runs in results.items():
        seconds, peaks = zip(*runs)
        print(f"| {name} | {min(seconds):.2f} | {median(seconds):.2f} | {max(peaks):.0f} |")


if __name__ == "__main__":
    main()
