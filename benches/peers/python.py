"""The wheel beside torchvision with the same weights: answers, time to the first detection, photos a second.

    pip install ./crates/python torch torchvision safetensors pillow
    python benches/peers/python.py FOLDER... [--rounds 3] [--threads 2]

The weights are the bundled ones, which torchvision's RetinaNet takes as they are. Every measurement is a process of its
own, in turn, and the table has the least of the rounds. Both sides decode the photos, ours and torchvision's one after the
other in one Python process, `retinanet batch` (of the same wheel) as it does. The first detection is of the bundled photo,
from the start of the process to its answer. Processor time is what to look at where other work runs on the machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "examples/assets/person_r18.safetensors"
PHOTO = ROOT / "examples/assets/astronaut.png"
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def photos_in(folders):
    photos = sorted(path for folder in folders for path in Path(folder).iterdir() if path.suffix.lower() in ENDINGS)
    if not photos:
        raise SystemExit(f"{folders}: no photos lie there")
    return photos


def ours(threads):
    from retinanet import Detector

    model = Detector(WEIGHTS, threads=threads)
    return lambda path: rows(model(path))


def torchvision(threads):
    import torch
    from PIL import Image, ImageOps
    from safetensors.torch import load_file
    from torchvision.transforms.functional import pil_to_tensor

    sys.path.insert(0, str(ROOT / "tests/golden"))
    from models import demo

    torch.set_num_threads(threads)
    model, _ = demo()
    tensors = {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    model.eval()

    def detect(path):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        with torch.inference_mode():
            return rows(model([pil_to_tensor(image).float() / 255])[0])

    return detect


def rows(found):
    return list(zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist()))


def worker(kind, threads, photos):
    """Prints the answer to the bundled photo at once; then the seconds that all photos take."""
    detect = {"ours": ours, "torchvision": torchvision}[kind](threads)
    answer = detect(PHOTO)
    print(json.dumps([answer, time.process_time()]), flush=True)
    began, busy = time.perf_counter(), time.process_time()
    for path in photos:
        detect(path)
    print(json.dumps([time.perf_counter() - began, time.process_time() - busy]), flush=True)


def measure(kind, args):
    """The answer; seconds to it, of a clock and of processors; seconds for all photos, likewise."""
    call = [sys.executable, __file__, *map(str, args.folders), "--threads", str(args.threads)]
    call += ["--every", str(args.every), "--worker", kind]
    began = time.perf_counter()
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        first, first_busy = json.loads(process.stdout.readline())
        until_first = time.perf_counter() - began
        seconds, busy = json.loads(process.stdout.readline())
    return first, until_first, first_busy, seconds, busy


def command(args, photos):
    """Seconds of `retinanet batch`, its start included, and seconds of processors."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "photos.txt")
        listed.write_text("\n".join(map(str, photos)))
        call = [sys.executable, "-m", "retinanet", "-q", "batch", listed, "--weights", WEIGHTS]
        call += ["--out", Path(folder, "out.jsonl"), "--threads", str(args.threads)]
        began, before = time.perf_counter(), os.times()
        subprocess.run(list(map(str, call)), check=True)
        after = os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        return time.perf_counter() - began, busy


def print_answers(theirs, mine):
    score_off = corner_off = 0.0
    print("| torchvision: score | box | here: score | box |\n|---|---|---|---|")
    for place, ((label, score, box), (other, other_score, other_box)) in enumerate(zip(theirs, mine, strict=True)):
        assert label == other, (place, label, other)
        score_off = max(score_off, abs(score - other_score))
        corner_off = max(corner_off, *(abs(a - b) for a, b in zip(box, other_box)))
        if place < 4:
            shown = [", ".join(f"{corner:.3f}" for corner in corners) for corners in (box, other_box)]
            print(f"| {score:.6f} | {shown[0]} | {other_score:.6f} | {shown[1]} |")
    print(f"\n{len(mine)} detections, the same ones in the same order; scores differ by {score_off:.1e} at most,", end=" ")
    print(f"corners by {corner_off:.1e} pixels")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth photo")
    parser.add_argument("--worker", choices=["ours", "torchvision"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    photos = photos_in(args.folders)[:: args.every]
    if args.worker:
        return worker(args.worker, args.threads, photos)
    runs = {"ours": [], "torchvision": []}
    batches = []
    for _ in range(args.rounds):
        for kind, measured in runs.items():
            measured.append(measure(kind, args))
        batches.append(command(args, photos))
    print_answers(runs["torchvision"][0][0], runs["ours"][0][0])
    least = {kind: [min(run[at] for run in measured) for at in (1, 2, 3, 4)] for kind, measured in runs.items()}
    least["command"] = [None, None, *(min(run[at] for run in batches) for at in (0, 1))]
    _, _, their_seconds, their_busy = least["torchvision"]
    print(f"\n{len(photos)} photos, {args.threads} threads, the least of {args.rounds} rounds\n")
    print("| | start to first detection (of processors) | photos a second | of torchvision's | processor time a photo | of torchvision's |")
    print("|---|---|---|---|---|---|")
    for name, kind in (
        ("torchvision", "torchvision"),
        ("this package, photo after photo", "ours"),
        ("`retinanet batch`, its start included", "command"),
    ):
        until, until_busy, seconds, busy = least[kind]
        cells = [f"{until:.2f} s ({until_busy:.2f} s)" if until else "", f"{len(photos) / seconds:.1f}", f"{their_seconds / seconds:.2f}"]
        cells += [f"{1000 * busy / len(photos):.0f} ms", f"{busy / their_busy:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
