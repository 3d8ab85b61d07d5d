"""Times one training step (forward, losses, backward, update) of this project and of PyTorch, interleaved.

    cargo build --release -p retinanet-train --example training_step
    python training_step.py [--model v2|small] [--optimiser sgd|adam_w] [--threads 2] [--rounds 5] [--json record.json]

`v2` is retinanet_resnet50_fpn_v2 on one picture of 800 x 1088, `small` the bundled checkpoint's kind on four of
384 x 384. Weights are random; layer2 up, feature pyramid and heads train, batch norm is frozen and in evaluation
mode. Each engine is a process of its own that makes a step on request: in every round each makes one. Seconds
are by the clock, and on all CPUs, which a busy machine disturbs less. Memory is the most that a process held. Ours does
more in a step: it builds the network from the weights, sums gradients in integers and takes their norm.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

# Before torch is imported: waiting threads of one process must not burn another's time.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

HERE = Path(__file__).parent
OURS = HERE.parents[1] / "target/release/examples/training_step"
PEERS = ["PyTorch channels_last", "PyTorch contiguous"]
# As in crates/train/examples/training_step.rs.
OBJECTS = [
    ((0.10, 0.15, 0.35, 0.80), 1),
    ((0.40, 0.05, 0.90, 0.50), 1),
    ((0.55, 0.60, 0.65, 0.75), 1),
    ((0.02, 0.85, 0.12, 0.95), 1),
]


def torch_step(model_name, optimiser_name, layout):
    """A function that makes one step of torchvision's model."""
    import torch
    from torchvision.models.detection.image_list import ImageList

    sys.path.insert(0, str(HERE.parents[1] / "tests/golden"))
    torch.manual_seed(0)
    if model_name == "v2":
        from torchvision.models.detection import retinanet_resnet50_fpn_v2

        model, size, batch = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None), (800, 1088), 1
    else:
        import models

        # Faster than FrozenBatchNorm2d, whose operations are not fused.
        models.FrozenBatchNorm2d = torch.nn.BatchNorm2d
        model, size, batch = models.demo()[0], (384, 384), 4
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)
    for name, parameter in model.backbone.body.named_parameters():
        if not name.startswith(("layer2", "layer3", "layer4")):
            parameter.requires_grad_(False)
    images = torch.rand(batch, 3, *size) * 4 - 2
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    height, width = size
    scale = torch.tensor([width, height, width, height], dtype=torch.float32)
    targets = [
        {
            "boxes": torch.tensor([box for box, _ in OBJECTS]) * scale,
            "labels": torch.tensor([label for _, label in OBJECTS]),
        }
        for _ in range(batch)
    ]
    listed = ImageList(images, [size] * batch)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if optimiser_name == "sgd":
        optimiser = torch.optim.SGD(trained, lr=1e-4, momentum=0.9, weight_decay=1e-4, fused=True)
    else:
        optimiser = torch.optim.AdamW(trained, lr=1e-4, weight_decay=1e-4, fused=True)

    def step():
        features = list(model.backbone(images).values())
        outputs = model.head(features)
        losses = model.compute_loss(targets, outputs, model.anchor_generator(listed, features))
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        optimiser.step()

    return step


def peak_mb():
    """The most memory that was resident, in MB of a million bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 // 1_000_000
    return 0


def worker(args):
    """PyTorch's side of training_step.rs: a line in, a step's times out."""
    import torch

    torch.set_num_threads(args.threads)
    step = torch_step(args.model, args.optimiser, args.worker)
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start, before = time.perf_counter(), time.process_time()
        step()
        seconds, cpu = time.perf_counter() - start, time.process_time() - before
        print(json.dumps({"seconds": seconds, "cpu": cpu}), flush=True)
    print(json.dumps({"peak_mb": peak_mb()}), flush=True)


class Engine:
    def __init__(self, name, command, threads):
        self.name, self.steps = name, []
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} stopped; its message is above")
        return line

    def step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        self.steps.append(json.loads(self.answer()))

    def stop(self):
        self.process.stdin.close()
        self.peak = json.loads(self.answer())["peak_mb"]
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["v2", "small"], default="v2")
    parser.add_argument("--optimiser", choices=["sgd", "adam_w"], default="sgd")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", default=str(OURS), help="the executable")
    parser.add_argument("--json", help="file for the record")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args)

    threads = str(args.threads)
    ours = Engine("retinanet", [args.ours, args.model, args.optimiser, threads], threads)
    engines = [ours]
    for name in PEERS:
        command = [sys.executable, __file__, "--worker", name.split()[1], "--threads", threads]
        engines.append(Engine(name, command + ["--model", args.model, "--optimiser", args.optimiser], threads))
    for number in range(args.rounds):
        for engine in engines[number % len(engines) :] + engines[: number % len(engines)]:
            engine.step()
    for engine in engines:
        engine.stop()

    rows = []
    for engine in engines:
        row = {"name": engine.name, "peak_mb": engine.peak}
        for kind in ["seconds", "cpu"]:
            times = [step[kind] for step in engine.steps]
            ratios = [own[kind] / other[kind] for own, other in zip(ours.steps, engine.steps)]
            row |= {f"{kind}_median": median(times), f"{kind}_min": min(times), f"ours_over_it_{kind}": median(ratios)}
            row[kind] = times
        rows.append(row)
    record = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "load": os.getloadavg(), "engines": rows}
    record |= {name: getattr(args, name) for name in ["model", "optimiser", "threads", "rounds"]}
    print(f"{args.model}, {args.optimiser}, {threads} threads, {args.rounds} rounds, load {record['load'][0]:.0f}\n")
    print("| engine | s, median (min) | s on CPUs, median (min) | ours / it, median of rounds: s, on CPUs | peak MB |")
    print("|---|---|---|---|---|")
    for row in rows:
        times = [f"{row[f'{kind}_median']:.2f} ({row[f'{kind}_min']:.2f})" for kind in ["seconds", "cpu"]]
        ratios = ", ".join(f"{row[f'ours_over_it_{kind}']:.2f}" for kind in ["seconds", "cpu"])
        print(f"| {row['name']} | {times[0]} | {times[1]} | {ratios} | {row['peak_mb']} |")
    if args.json:
        Path(args.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
