"""Start-up and memory: from process start to the first printed detection, and the most memory it took.

    python cold_start.py --cache FOLDER --photo PHOTO [--rounds 3] [--threads 2] [--ours target/release/examples/one_detection]
    python cold_start.py --self-check

Ours (from safetensors and from .pth) and torchvision's run in turn, each a process of its own, on the same
weights. Ours is `cargo build --release -p retinanet-benches --example one_detection`. The self-check, which every
run begins with, shows that what is measured of a process holds no memory of the one that started it.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import measured

HERE = Path(__file__).parent
# What a process that does nothing may take, and what its parent holds meanwhile, in MB.
TRIVIAL, BALLAST = 50, 300


def checkpoints(cache):
    """The network's weights as .pth and .safetensors, made once, by a process that takes its memory along."""
    files = [cache / "cold_start_v2.pth", cache / "cold_start_v2.safetensors"]
    if not all(file.exists() for file in files):
        process = multiprocessing.get_context("spawn").Process(target=save_checkpoints, args=files)
        process.start()
        process.join()
        if process.exitcode != 0:
            raise SystemExit("the checkpoints could not be made")
    return files


def save_checkpoints(pth, safetensors):
    import torch
    from safetensors.torch import save_file

    from weights import v2

    state = v2().state_dict()
    torch.save(state, pth)
    save_file(state, safetensors)


def run(command):
    """(seconds to the first line, peak MB), of the command alone: a small process starts it."""
    helper = [sys.executable, "-I", "-S", str(HERE / "measured.py")]
    return json.loads(subprocess.run([*helper, *command], stdout=subprocess.PIPE, check=True).stdout)


def self_check(measure=run):
    """Fails if what is measured of a process holds memory of this one."""
    ballast = b"\1" * (BALLAST * 1_000_000)
    trivial = [sys.executable, "-I", "-S", "-c", "print(1)"]
    _, peak = measure(trivial)
    _, direct = measured.run(trivial)
    del ballast
    print(
        f"self-check: a process that does nothing takes {peak:.0f} MB, started by one of {BALLAST} MB "
        f"({direct:.0f} MB if started directly)",
        file=sys.stderr,
    )
    if peak >= TRIVIAL:
        raise SystemExit(f"self-check failed: {peak:.0f} MB is not less than {TRIVIAL} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-check", action="store_true", help="check the measuring only")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--photo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default=str(os.cpu_count()))
    parser.add_argument("--ours", default=str(HERE.parents[1] / "target/release/examples/one_detection"))
    args = parser.parse_args()
    if not args.self_check and not (args.cache and args.photo):
        parser.error("--cache and --photo are required")
    self_check()
    if args.self_check:
        return
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
