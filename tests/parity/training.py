"""Compares losses and gradients with torchvision's, from equal weights, on photos with COCO annotations.

    cargo build --workspace --release --bin training_gradients
    python tests/parity/training.py ANNOTATIONS.json FOLDER [--model demo|v1|v2] [--photos 8]

torchvision's transform makes each photo's canvas, which both get. Losses must agree within 1e-5 of themselves, and each tensor's
gradient within 1e-3 of its largest magnitude; the exit status is 1 where one does not. Beside ours stands how far PyTorch's own
gradients in f32, in both memory formats, are from those in f64: where what goes into a ReLU is 0 but for rounding, its
gradient is there or not, and where few pixels have most of the gradient (a trained model on its own photos), that shows.

`--anew` draws the class layer anew, as for new classes: training as it begins.

needs torch, torchvision, safetensors, pillow and numpy from PyPI (CPU is enough). Not part of CI.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from photos import ROOT, model_and_weights, tensor_of
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models.detection.image_list import ImageList

LOSS, GRADIENT = 1e-5, 1e-3
FROZEN = ("backbone.body.conv1", "backbone.body.layer1")


def annotated(file, folder, count, classes):
    """The first photos with a usable box, their boxes as corners and their classes."""
    truth = json.loads(Path(file).read_text())
    ids = sorted(category["id"] for category in truth["categories"])
    for image in sorted(truth["images"], key=lambda image: image["id"]):
        own = [a for a in truth["annotations"] if a["image_id"] == image["id"] and not a.get("iscrowd")]
        own = [a for a in own if min(a["bbox"][2:]) > 1]
        if own and count:
            count -= 1
            boxes = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in own)]
            labels = [1 + ids.index(a["category_id"]) % (classes - 1) for a in own]
            yield Path(folder) / image["file_name"], torch.tensor(boxes), torch.tensor(labels)


def losses_and_gradients(model, canvas, targets, dtype, memory_format):
    """The two losses, and the gradient of each tensor that trains, as f64."""
    model.to(dtype).to(memory_format=memory_format)
    canvas = canvas.to(dtype).contiguous(memory_format=memory_format)
    targets = [dict(boxes=targets[0]["boxes"].to(dtype), labels=targets[0]["labels"])]
    canvas = ImageList(canvas, [tuple(canvas.shape[-2:])])
    features = list(model.backbone(canvas.tensors).values())
    losses = model.compute_loss(targets, model.head(features), model.anchor_generator(canvas, features))
    model.zero_grad()
    sum(losses.values()).backward()
    gradients = {n: p.grad.double() for n, p in model.named_parameters() if p.requires_grad}
    model.float()
    return [losses["classification"].item(), losses["bbox_regression"].item()], gradients


def worst_of(ours, theirs):
    """The largest difference of a tensor, over its largest magnitude, and which tensor."""
    return max(((ours[n].double() - g).abs().max().item() / g.abs().max().item(), n) for n, g in theirs.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations")
    parser.add_argument("folder")
    parser.add_argument("--model", choices=["demo", "v1", "v2"], default="demo")
    parser.add_argument("--weights", type=Path, default=ROOT / "examples/assets/person_r18.safetensors")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/training_gradients")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--anew", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = [path for path, _, _ in annotated(args.annotations, args.folder, args.photos, 2)]
        model, weights = model_and_weights(args.model, args.weights, paths, folder)
        if args.anew:
            torch.manual_seed(3407)
            layer = model.head.classification_head.cls_logits
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, -math.log(99))
            with safe_open(weights, "pt") as file:
                metadata = file.metadata()
            weights = folder / "anew.safetensors"
            tensors = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
            save_file(tensors, weights, metadata=metadata)
        model.head.regression_head._loss_type = "l1" if args.model == "v1" else "giou"
        norms = [f"{name}." for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
        for name, parameter in model.named_parameters():
            of_norm = any(name.startswith(norm) for norm in norms)
            parameter.requires_grad_(not name.startswith(FROZEN) and not of_norm)
        classes = model.head.classification_head.num_classes
        inputs, theirs = {}, []
        for i, (path, boxes, labels) in enumerate(annotated(args.annotations, args.folder, args.photos, classes)):
            images, targets = model.transform([tensor_of(path)], [dict(boxes=boxes, labels=labels)])
            inputs[f"{i}/canvas"] = images.tensors[0].contiguous()
            inputs[f"{i}/boxes"] = targets[0]["boxes"].float().contiguous()
            inputs[f"{i}/classes"] = labels.float()
            runs = [(torch.float32, torch.contiguous_format), (torch.float32, torch.channels_last), (torch.float64, torch.contiguous_format)]
            theirs.append([losses_and_gradients(model, images.tensors, targets, *run) for run in runs])
        save_file(inputs, folder / "inputs.safetensors")
        call = [args.program, weights, folder / "inputs.safetensors", folder / "ours.safetensors", "3"]
        subprocess.run([*map(str, call), "l1" if args.model == "v1" else "giou"], check=True)
        ours = load_file(folder / "ours.safetensors")
    failed = False
    for i, ((losses, gradients), *others) in enumerate(theirs):
        loss = max(abs(a - b) / abs(b) for a, b in zip(ours[f"{i}/losses"].tolist(), losses))
        worst, tensor = worst_of({n: ours[f"{i}/{n}"] for n in gradients}, gradients)
        exact = others[-1][1]
        doubts = [worst_of(gradients, exact)[0], worst_of(others[0][1], exact)[0]]
        same = loss <= LOSS and worst <= GRADIENT
        failed |= not same
        print(f"{' ' if same else '!'} {paths[i].name}: losses {losses[0]:.4f} {losses[1]:.4f}, {loss:.1e}; "
              f"{len(gradients)} gradients, {worst:.1e} ({tensor}); PyTorch's from f64 {doubts[0]:.1e}, {doubts[1]:.1e}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
