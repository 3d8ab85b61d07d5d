"""Times the engines and this project, interleaved: in every round each of them runs once.

Prints a table; --json also writes a record with the machine, the versions and every single time.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

from engines import ENGINES, SHAPE

HERE = Path(__file__).parent
PACKAGES = ["torch", "torchvision", "onnxruntime", "openvino"]
REFERENCE = "PyTorch eager f32"
OURS = "target/release/retinanet bench --arch retinanet_resnet50_fpn_v2 --size 800x1088 --runs 1 --json -"
MODES = ["deterministic", "fast"]


class Worker:
    def __init__(self, name, threads, cache, folder):
        self.name = name
        self.output = Path(folder) / f"{name}.npy"
        command = [sys.executable, str(HERE / "worker.py"), name, str(threads), str(cache), str(self.output)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} stopped; its message is above")
        return line

    def seconds(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return [float(self.answer())]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """An executable that prints {"seconds": [..]}, started anew every round."""

    def __init__(self, name, command):
        self.name, self.command = name, command
        self.seconds()

    def seconds(self):
        done = subprocess.run(self.command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{shlex.join(self.command)}: exit status {done.returncode}")
        return [float(s) for s in json.loads(done.stdout)["seconds"]]

    def stop(self):
        pass


def ours(command, threads):
    words = shlex.split(command)
    if not Path(words[0]).is_file():
        print(f"{words[0]} is not there (cargo build --release): peers only", file=sys.stderr)
        return []
    threads = ["--threads", str(threads)]
    return [Ours(f"retinanet {mode}", words + threads + ["--mode", mode]) for mode in MODES]


def machine():
    """What the times depend on."""
    about = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            field, _, value = line.partition(":")
            about.setdefault(field.strip(), value.strip())
    flags = about.get("flags", about.get("Features", "")).split()
    wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
    return {
        "cpu": about.get("model name", platform.processor() or platform.machine()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "features": [flag for flag in wanted if flag in flags],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", required=True, help="folder for the exported network")
    parser.add_argument("--threads", type=int, default=machine()["cores"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds before each run, for the last one's threads to sleep")
    parser.add_argument("--engines", default=",".join(ENGINES), help="names, comma-separated")
    parser.add_argument("--ours", default=OURS, help="prints {\"seconds\": [..]}; gets --threads and --mode")
    parser.add_argument("--json", help="file for the record")
    args = parser.parse_args()

    times, agreement = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        names = [name for name in args.engines.split(",") if name]
        workers = [Worker(name, args.threads, args.cache, folder) for name in names]
        if REFERENCE in names:
            reference = np.load(Path(folder) / f"{REFERENCE}.npy")
            for worker in workers:
                difference = np.abs(np.load(worker.output) - reference).max()
                agreement[worker.name] = float(difference / np.abs(reference).max())
        workers += ours(args.ours, args.threads)
        for number in range(args.rounds):
            for worker in workers[number % len(workers) :] + workers[: number % len(workers)]:
                time.sleep(args.pause)
                times.setdefault(worker.name, []).extend(worker.seconds())
        for worker in workers:
            worker.stop()

    fastest_f32 = min(min(seconds) for name, seconds in times.items() if "bf16" not in name)
    base_name, base = "fastest f32 peer", fastest_f32
    if mine := [name for name in times if name.startswith("retinanet")]:
        base_name, base = mine[0], min(times[mine[0]])
    record = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "network": "retinanet_resnet50_fpn_v2, backbone + FPN + heads",
        "input": SHAPE,
        "threads": args.threads,
        "rounds": args.rounds,
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "engines": [
            {
                "name": name,
                "min": min(seconds),
                "median": median(seconds),
                "min_over_base": min(seconds) / base,
                "difference_to_reference": agreement.get(name),
                "seconds": seconds,
            }
            for name, seconds in times.items()
        ],
        "base": base_name,
        "reference": REFERENCE,
    }
    about = record["machine"]
    print(f"{about['cpu']}, {args.threads} threads of {about['cores']} cores, {' '.join(about['features'])}")
    print(f"{record['network']}, {'x'.join(map(str, SHAPE))}, {args.rounds} rounds, {record['date']}\n")
    print(f"| engine | min s | median s | min / {base_name} | largest difference to {REFERENCE} |\n|---|---|---|---|---|")
    for row in record["engines"]:
        difference = row["difference_to_reference"]
        agrees = "" if difference is None else f"{difference:.0e}"
        print(f"| {row['name']} | {row['min']:.3f} | {row['median']:.3f} | {row['min_over_base']:.2f} | {agrees} |")
    if args.json:
        Path(args.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
