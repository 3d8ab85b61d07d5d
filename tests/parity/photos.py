"""Runs torchvision with PIL beside the command `retinanet` on photos, and compares what they find.

    cargo build --workspace --release --bin retinanet
    python tests/parity/photos.py FOLDER...

Both get the files, not pixels: decoding is part of the comparison. Every photo must have the same detections, with
the same labels, scores within 1e-4 and corners within 0.05 pixels; the exit status is 1 where one has not. Each
photo has a line with its worst score and corner difference and how many detections are missing or one too many.

`--model v1` and `--model v2` compare torchvision's own two architectures with the random weights of the golden data, since
trained ones need a download. The biases of the last layer are chosen so that the largest score on these photos is below 0.9:
scores of 1.0 would tie by the hundred, and torchvision leaves the order of ties undefined. Where such a photo differs,
`../golden/margins.py` says whether torchvision's own answer hangs by a hair there; it counts as different all the same.

needs torch, torchvision, safetensors, pillow and numpy from PyPI (CPU is enough). Not part of CI.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps, features
from safetensors.torch import load_file, save_file
from torchvision.ops import boxes as box_ops

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
import generator  # noqa: E402
from make_parity import LIVE, Recorder  # noqa: E402
from models import MODELS  # noqa: E402

SCORE = 1e-4
PIXELS = 0.05
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def described(name, model):
    """The file's own description of a model of torchvision's, in the words that the command reads."""
    v1 = name == "v1"
    sizes = [[x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))] for x in (32, 64, 128, 256, 512)]
    return {
        "model": "torchvision.models.detection.RetinaNet",
        "backbone": {
            "type": "resnet",
            "depth": 50,
            "block": "bottleneck",
            "returned_stages": ["layer2", "layer3", "layer4"],
            "strides": [8, 16, 32],
            "norm": "frozen_batch_norm" if v1 else "batch_norm",
            "norm_eps": 0.0 if v1 else 1e-5,
            "layer4": True,
            "input": "RGB",
        },
        "fpn": {
            "in_channels": [512, 1024, 2048],
            "out_channels": 256,
            "extra_levels": "p6p7",
            "extra_levels_in": "last_pyramid_feature" if v1 else "last_backbone_feature",
            "strides": [8, 16, 32, 64, 128],
            "norm": None,
        },
        "anchors": {"sizes": sizes, "aspect_ratios": [[0.5, 1.0, 2.0]] * 5, "num_per_location": 9},
        "head": {
            "num_convs": 4,
            "norm": None if v1 else "group_norm",
            "group_norm_groups": None if v1 else 32,
            "group_norm_eps": None if v1 else 1e-5,
        },
        "num_classes": 91,
        "categories": ["__background__"] + [f"class {i}" for i in range(1, 91)],
        "transform": {
            "min_size": 800,
            "max_size": 1333,
            "size_divisible": 32,
            "image_mean": model.transform.image_mean,
            "image_std": model.transform.image_std,
        },
        "postprocess": {
            "score_thresh": model.score_thresh,
            "nms_thresh": model.nms_thresh,
            "detections_per_img": model.detections_per_img,
            "topk_candidates": model.topk_candidates,
        },
    }


def load(model, tensors):
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert not missing and not unexpected, (missing, unexpected)
    return model.eval()


def calibrated(model, name, photos):
    """Biases with which each channel's largest logit on the photos is where `make_parity.py` puts it."""
    head = model.head.classification_head.cls_logits
    largest = torch.full((head.out_channels,), -torch.inf)

    def keep(module, inputs, output):
        torch.maximum(largest, output[0].flatten(1).max(1).values, out=largest)

    with torch.no_grad():
        head.bias.zero_()
        hook = head.register_forward_hook(keep)
        for photo in photos:
            model([tensor_of(photo)])
        hook.remove()
    share, top = LIVE[name]
    live = torch.arange(len(largest)) % share == 0
    return ((torch.where(live, top, top - 16.0) - largest) * 4).round() / 4


def model_and_weights(name, weights, photos, folder):
    """torchvision's model, and the file that gives the command the same tensors."""
    model, _ = MODELS[name]()
    if name == "demo":
        return load(model, {key: value.float() for key, value in load_file(weights).items()}), weights
    drawn = json.loads((ROOT / f"tests/golden/{name}.json").read_text())["weights"]
    tensors = {
        key: torch.from_numpy(generator.tensor(drawn["seed"], key, shape, drawn["lively"]))
        for key, shape in drawn["tensors"].items()
    }
    tensors["head.classification_head.cls_logits.bias"] = calibrated(load(model, tensors), name, photos)
    path = folder / f"{name}.safetensors"
    save_file(tensors, path, metadata={"config": json.dumps(described(name, model))})
    return load(model, tensors), path


def answers_of_command(command, weights, photos):
    """The detections of each photo, of `retinanet detect`."""
    call = [command, "detect", "--weights", weights, "--json", "-", *photos]
    run = subprocess.run(list(map(str, call)), capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{command} ended with {run.returncode}: {run.stderr.strip()}")
    records = json.loads(run.stdout)
    assert len(records) == len(photos), (len(records), len(photos))
    for record, photo in zip(records, photos):
        assert Path(record["image"]).resolve() == Path(photo).resolve(), (record["image"], photo)
    return [record["detections"] for record in records]


def pixels_of(photo):
    """What PIL decodes, turned upright as the command does."""
    return np.array(ImageOps.exif_transpose(Image.open(photo)).convert("RGB"))


def tensor_of(photo):
    return torch.from_numpy(pixels_of(photo)).permute(2, 0, 1).float().div(255)


def doubt_of_torchvision(model, photo):
    """Why rounding alone could change its answer, or that it could not."""
    threshold, nms = model.score_thresh, box_ops.batched_nms
    recorder = Recorder(model)
    why = recorder(pixels_of(photo), below=SCORE).doubt()
    model.score_thresh, box_ops.batched_nms = threshold, nms
    return why or "nothing in torchvision's answer hangs by a hair"


def answer_of_torchvision(model, photo):
    with torch.no_grad():
        found = model([tensor_of(photo)])[0]
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist())
    return [{"label_id": label, "score": score, "box": box} for label, score, box in rows]


def corner(a, b):
    return max(abs(x - y) for x, y in zip(a["box"], b["box"]))


def matched(theirs, ours):
    """Pairs (theirs, ours), each detection at most once, by label and then by the nearest box.

    Whoever has its counterpart at its own rank keeps it; a pair is never further apart than 2 pixels.
    """
    pairs, left = [], set(range(len(ours)))
    later = []
    for rank, one in enumerate(theirs):
        if rank in left and ours[rank]["label_id"] == one["label_id"] and corner(one, ours[rank]) <= PIXELS:
            pairs.append((rank, rank))
            left.discard(rank)
        else:
            later.append(rank)
    for rank in later:
        same = [at for at in left if ours[at]["label_id"] == theirs[rank]["label_id"]]
        at = min(same, key=lambda at: corner(theirs[rank], ours[at]), default=None)
        if at is not None and corner(theirs[rank], ours[at]) <= 2.0:
            pairs.append((rank, at))
            left.discard(at)
    return pairs


def compare(theirs, ours):
    pairs = matched(theirs, ours)
    return {
        "found": len(theirs),
        "missing": [theirs[i] for i in sorted(set(range(len(theirs))) - {a for a, _ in pairs})],
        "extra": [ours[i] for i in sorted(set(range(len(ours))) - {b for _, b in pairs})],
        "moved": sum(a != b for a, b in pairs),
        "score": max((abs(theirs[a]["score"] - ours[b]["score"]) for a, b in pairs), default=0.0),
        "corner": max((corner(theirs[a], ours[b]) for a, b in pairs), default=0.0),
    }


def is_same(row):
    return not row["missing"] and not row["extra"] and row["score"] <= SCORE and row["corner"] <= PIXELS


def photos_in(folders):
    for folder in map(Path, folders):
        if folder.is_file():
            yield folder
            continue
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
        if not found:
            raise SystemExit(f"{folder}: no photo ({', '.join(sorted(ENDINGS))}) lies there")
        yield from found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", help="folders of photos, or photos")
    parser.add_argument("--model", choices=["demo", "v1", "v2"], default="demo")
    parser.add_argument("--weights", type=Path, default=ROOT / "examples/assets/person_r18.safetensors")
    parser.add_argument("--command", type=Path, default=ROOT / "target/release/retinanet")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torchvision")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth photo")
    parser.add_argument(
        "--per-class-nms",
        action="store_true",
        help="torchvision's own per-class suppression instead of the one that shifts boxes apart",
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.per_class_nms:
        box_ops.batched_nms = box_ops._batched_nms_vanilla
    photos = [photo.resolve() for photo in photos_in(args.folders)][:: args.every]
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {Image.__version__}"
    print(f"{versions}, libjpeg-turbo {features.version('libjpeg_turbo')}; {args.model}, {len(photos)} photos")
    with tempfile.TemporaryDirectory() as folder:
        model, weights = model_and_weights(args.model, args.weights, photos, Path(folder))
        start = time.time()
        ours = answers_of_command(args.command, weights, photos)
        took = time.time() - start
    rows = []
    start = time.time()
    for photo, found in zip(photos, ours):
        row = compare(answer_of_torchvision(model, photo), found)
        rows.append(row)
        mark = " " if is_same(row) else "!"
        print(
            f"{mark} {photo.name}: {row['found']} found, {len(row['missing'])} missing, {len(row['extra'])} extra, "
            f"{row['moved']} at another rank; score {row['score']:.1e}, corner {row['corner']:.1e} px",
            flush=True,
        )
        for kind in ("missing", "extra"):
            for one in row[kind]:
                print(f"    {kind}: label {one['label_id']}, score {one['score']:.7f}, box {one['box']}")
        if not is_same(row):
            print(f"    {doubt_of_torchvision(model, photo)}")
    different = sum(not is_same(row) for row in rows)
    total = lambda key: sum(row[key] if isinstance(row[key], int) else len(row[key]) for row in rows)  # noqa: E731
    print(
        f"{len(rows)} photos, {total('found')} detections: {len(rows) - different} photos the same, {different} not; "
        f"{total('missing')} missing, {total('extra')} extra, {total('moved')} at another rank; "
        f"worst score {max(row['score'] for row in rows):.1e}, worst corner {max(row['corner'] for row in rows):.1e} px "
        f"(ours {took:.0f} s, torchvision {time.time() - start:.0f} s)"
    )
    if not total("found"):
        print("nothing was found on any photo: that shows nothing")
        return 1
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
