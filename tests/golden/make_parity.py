"""Makes the parity data: what torchvision answers, as small JSON files beside this script.

    python make_parity.py --demo person_r18.safetensors --photo astronaut.png [--only v1,v2] [--threads 2]

Needs torch, torchvision, numpy, safetensors and Pillow from PyPI. Not part of CI.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file
from torchvision.ops import boxes as box_ops

import generator
from margins import SCORE, doubt
from models import MODELS

HERE = Path(__file__).parent
SIZES = [(640, 480), (427, 640), (512, 512), (37, 53), (1333, 200), (799, 1203)]
WEIGHTS_SEED = 1
CALIBRATION_SIZES = [(640, 480), (37, 53)]
PLACES = 160
# One in how many (anchor, class) channels may find something, and the largest logit they reach
# on the calibration pictures.
LIVE = {"v1": (24, 2.0), "v2": (16, 2.0), "odd": (2, 1.5), "fixed": (1, 2.0)}


class Recorder:
    """A model that keeps what it computed on the way."""

    def __init__(self, model):
        self.model = model.eval()
        self.threshold = model.score_thresh
        model.backbone.body.register_forward_hook(self.keep_stages)
        model.backbone.register_forward_hook(self.keep_levels)
        head = model.head
        head.classification_head.cls_logits.register_forward_hook(lambda *a: self.logits.append(a[2][0]))
        head.regression_head.bbox_reg.register_forward_hook(lambda *a: self.regression.append(a[2][0]))
        model.transform.register_forward_hook(self.keep_sizes)

    def keep_stages(self, module, inputs, output):
        self.stages = [x[0] for x in output.values()]

    def keep_levels(self, module, inputs, output):
        self.levels = [x[0] for x in output.values()]

    def keep_sizes(self, module, inputs, output):
        self.resized, self.padded = list(output[0].image_sizes[0]), list(output[0].tensors.shape[-2:])

    def per_class_nms(self, boxes, scores, labels, threshold):
        # batched_nms moves up to 1000 boxes apart by class and rounds doing so; this one does not.
        kept = box_ops._batched_nms_vanilla(boxes, scores, labels, threshold)
        self.nms = (boxes, scores, labels, kept)
        return kept

    def __call__(self, picture, below=0.0):
        self.logits, self.regression = [], []
        image = torch.from_numpy(picture).permute(2, 0, 1).float().div(255)
        box_ops.batched_nms = self.per_class_nms
        self.model.score_thresh = self.threshold - below
        with torch.no_grad():
            self.answer = self.model([image])[0]
        return self

    def doubt(self):
        classes = self.model.head.classification_head.num_classes
        by_anchor = []
        for x in self.logits:
            by_anchor.append(x.unflatten(0, (-1, classes)).permute(2, 3, 0, 1).reshape(-1, classes))
        return doubt(self.model, self.threshold, by_anchor, self.nms)


def load(model, tensors):
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert not missing and not unexpected, (missing, unexpected)


def draw(model, lively):
    shapes = {k: list(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    load(model, {k: generator.tensor(WEIGHTS_SEED, k, s, lively) for k, s in shapes.items()})
    return shapes


def calibrate(recorder, name):
    """Puts each channel's bias where its largest logit is just found; multiples of a quarter.

    Random weights give every (anchor, class) channel an offset of its own, and a handful would win everywhere.
    """
    share, top = LIVE[name]
    logits = [x for size in CALIBRATION_SIZES for x in recorder(generator.picture(0, *size)).logits]
    largest = torch.stack([x.flatten(1).max(1).values for x in logits]).max(0).values
    bias = recorder.model.head.classification_head.cls_logits.bias
    live = torch.arange(len(largest)) % share == 0
    target = torch.where(live, top, top - 16.0)
    with torch.no_grad():
        bias.copy_(((target - (largest - bias)) * 4).round() / 4)
    return bias.detach().numpy()


def sha256(arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def number(x):
    """The shortest decimal that reads back as this f32."""
    x = np.float32(x)
    text = np.format_float_scientific(x, unique=True, trim="-") if abs(x) < 1e-4 and x else str(x)
    assert np.float32(float(text)) == x
    return text


def numbers(values):
    return "[" + ",".join(number(x) for x in np.asarray(values).flatten()) + "]"


def sample(name, tensor):
    """A (channels, height, width) tensor in small: its size, its largest magnitude, a few values."""
    flat = tensor.numpy().flatten()
    at = generator.places(0, name, tensor.shape, PLACES)
    largest = int(np.abs(flat).argmax())
    mean = float(np.abs(flat).mean(dtype=np.float64))
    return (
        f'{{"name":"{name}","shape":{json.dumps(list(tensor.shape))},"largest_at":{largest},'
        f'"largest":{number(flat[largest])},"mean_magnitude":{mean!r},"values":{numbers(flat[at])}}}'
    )


def case(model_name, recorder, width, height, source, picture, features):
    answer = recorder.answer
    tensors = {"logits": recorder.logits, "regression": recorder.regression}
    if features:
        tensors |= {"stages": recorder.stages, "levels": recorder.levels}
    prefix = f"{model_name}.{width}x{height}"
    lists = [
        f'"{kind}":[\n' + ",\n".join(sample(f"{prefix}.{kind}.{i}", x) for i, x in enumerate(xs)) + "]"
        for kind, xs in tensors.items()
    ]
    return (
        f'{{"width":{width},"height":{height},"picture":{json.dumps(source)},'
        f'"picture_sha256":"{sha256([picture])}",'
        f'"resized":{recorder.resized},"padded":{recorder.padded},\n'
        f'"boxes":{numbers(answer["boxes"])},\n"scores":{numbers(answer["scores"])},\n'
        f'"labels":{json.dumps(answer["labels"].tolist(), separators=(",", ":"))},\n' + ",\n".join(lists) + "}"
    )


def attempts(path, photo, width, height):
    """What to make a picture from, the one in the present file first."""
    if path.exists():
        for known in json.loads(path.read_text())["cases"]:
            if (known["width"], known["height"]) == (width, height):
                yield known["picture"]
    for n in range(400):
        yield {"seed": n + 1} if photo is None else {"roll": [n * 37 % 512, n * 11 % 512]}


def make(name, photo, demo):
    path = HERE / f"{name}.json"
    model, lively = MODELS[name]()
    recorder = Recorder(model)
    head = {"model": name, "torch": torch.__version__, "torchvision": torchvision.__version__}
    if lively is None:
        load(model, {k: v.astype(np.float32) for k, v in load_file(demo).items()})
    else:
        photo = None
        shapes = draw(model, lively)
        bias = calibrate(recorder, name).tolist()
        state = model.state_dict()
        head["weights"] = {
            "seed": WEIGHTS_SEED,
            "lively": lively,
            "sha256": sha256(state[tensor].numpy() for tensor in sorted(shapes)),
            "tensors": shapes,
            "logits_bias": bias,
        }
    cases = []
    for width, height in SIZES:
        start = time.time()
        for source in attempts(path, photo, width, height):
            if photo is None:
                picture = generator.picture(source["seed"], width, height)
            else:
                picture = generator.rolled(photo, width, height, *source["roll"])
            why = recorder(picture, below=SCORE).doubt()
            labels = recorder.answer["labels"]
            if why is None:
                break
            print(f"  {name} {width}x{height} {source}: {why} ({len(labels)} found)", file=sys.stderr, flush=True)
        else:
            raise SystemExit(f"{name} {width}x{height}: no picture without doubt")
        sure = recorder.answer
        recorder(picture)
        for key in sure:
            assert torch.equal(sure[key], recorder.answer[key]), (key, sure[key], recorder.answer[key])
        print(
            f"{name} {width}x{height} {source}: {len(labels)} found of {len(recorder.nms[1])},"
            f" {len(labels.unique())} classes, scores {recorder.answer['scores'][[0, -1]].tolist() if len(labels) else []},"
            f" {time.time() - start:.0f} s",
            flush=True,
        )
        cases.append(case(name, recorder, width, height, source, picture, features=(width, height) == SIZES[0]))
    fields = json.dumps(head, separators=(",", ":"))[:-1]
    text = fields + ',\n"cases":[\n' + ",\n".join(cases) + "]}\n"
    json.loads(text)
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", required=True, help="the bundled checkpoint")
    parser.add_argument("--photo", required=True, help="the bundled photo")
    parser.add_argument("--only", default=",".join(MODELS), help="models, comma-separated")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    photo = np.asarray(Image.open(args.photo).convert("RGB"))
    for name in args.only.split(","):
        make(name, photo, args.demo)


if __name__ == "__main__":
    main()
