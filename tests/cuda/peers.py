"""The same network in PyTorch on this GPU: warm medians by CUDA events and by the clock, as JSON lines.

    python peers.py [--runs 30]

Weights and input are those of ../../benches/peers/engines.py; the network alone, one 800 x 1088 canvas.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benches" / "peers"))
from engines import images, network  # noqa: E402


def variants():
    """Name, TF32, dtype, channels_last, compiled."""
    yield "eager f32, TF32 off", False, torch.float32, False, False
    yield "eager f32, TF32 on", True, torch.float32, False, False
    yield "eager f16 channels_last", True, torch.float16, True, False
    yield "torch.compile f16 channels_last", True, torch.float16, True, True


def timed(run, runs):
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    by_events, by_clock = [], []
    for _ in range(runs):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        began = time.perf_counter()
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        by_clock.append(time.perf_counter() - began)
        by_events.append(start.elapsed_time(end) * 1e-3)
    return median(by_events), median(by_clock)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    print(json.dumps({"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__}), flush=True)
    for name, tf32, dtype, channels_last, compiled in variants():
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        layout = torch.channels_last if channels_last else torch.contiguous_format
        model = network().to("cuda", dtype).to(memory_format=layout)
        x = torch.from_numpy(images()).to("cuda", dtype).contiguous(memory_format=layout)
        if compiled:
            model = torch.compile(model, mode="max-autotune-no-cudagraphs")
        with torch.inference_mode():
            by_events, by_clock = timed(lambda: model(x), args.runs)
        row = {"engine": f"PyTorch {name}", "median_seconds_events": by_events, "median_seconds_clock": by_clock}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
