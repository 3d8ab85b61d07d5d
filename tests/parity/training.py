"""Compares losses and gradients with torchvision's, from equal weights, on photos with COCO annotations.

    cargo build --workspace --release --bin training_gradients
    python tests/parity/training.py ANNOTATIONS.json FOLDER [--model demo|v1|v2] [--photos 8]

torchvision's transform makes each photo's canvas, which both get. Losses must agree within 1e-5 of themselves, and each tensor's
gradient within 1e-3 of its largest magnitude; the exit status is 1 where one does not.

needs torch, torchvision, safetensors, pillow and numpy from PyPI (CPU is enough). Not part of CI.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from photos import ROOT, model_and_weights, tensor_of
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations")
    parser.add_argument("folder")
    parser.add_argument("--model", choices=["demo", "v1", "v2"], default="demo")
    parser.add_argument("--weights", type=Path, default=ROOT / "examples/assets/person_r18.safetensors")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/training_gradients")
    parser.add_argument("--photos", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = [path for path, _, _ in annotated(args.annotations, args.folder, args.photos, 2)]
        model, weights = model_and_weights(args.model, args.weights, paths, folder)
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
            canvas = ImageList(images.tensors, [tuple(images.tensors.shape[-2:])])
            features = list(model.backbone(canvas.tensors).values())
            losses = model.compute_loss(targets, model.head(features), model.anchor_generator(canvas, features))
            model.zero_grad()
            sum(losses.values()).backward()
            gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
            theirs.append(([losses["classification"].item(), losses["bbox_regression"].item()], gradients))
        save_file(inputs, folder / "inputs.safetensors")
        call = [args.program, weights, folder / "inputs.safetensors", folder / "ours.safetensors", "3"]
        subprocess.run([*map(str, call), "l1" if args.model == "v1" else "giou"], check=True)
        ours = load_file(folder / "ours.safetensors")
    failed = False
    for i, (losses, gradients) in enumerate(theirs):
        loss = max(abs(a - b) / abs(b) for a, b in zip(ours[f"{i}/losses"].tolist(), losses))
        worst, tensor = max(((ours[f"{i}/{n}"] - g).abs().max().item() / g.abs().max().item(), n) for n, g in gradients.items())
        same = loss <= LOSS and worst <= GRADIENT
        failed |= not same
        print(f"{' ' if same else '!'} {paths[i].name}: losses {losses[0]:.4f} {losses[1]:.4f}, {loss:.1e}; "
              f"{len(gradients)} gradients, {worst:.1e} ({tensor})")
    return failed


if __name__ == "__main__":
    sys.exit(main())
