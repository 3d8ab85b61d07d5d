"""Writes the reference answers for matching and losses, computed by torchvision's RetinaNet on the CPU.

    python tests/golden/make_losses.py

needs torch and torchvision from PyPI (last run with torchvision 0.29.2). Anchors and objects have whole
coordinates, so that intersections over union have the same bits everywhere and matches are compared exactly.
"""

import json
import pathlib

import torch
from torchvision.models.detection import retinanet
from torchvision.models.detection._utils import BoxCoder, Matcher

OUT = pathlib.Path(__file__).parents[2] / "crates/train/tests/testdata/torchvision.json"
CLASSES = 3


def anchors():
    boxes = []
    for stride, size in ((16, 24), (32, 48)):
        for y in range(0, 96, stride):
            for x in range(0, 96, stride):
                boxes.append([x - size // 2, y - size // 2, x + size // 2, y + size // 2])
    return torch.tensor(boxes, dtype=torch.float32)


CASES = [
    ("two objects, one small", [[10, 12, 40, 44], [60, 60, 68, 66]], [1, 2]),
    ("the same box twice", [[20, 20, 44, 44], [20, 20, 44, 44]], [2, 1]),
    ("equal best anchors", [[0, 20, 24, 44], [36, 4, 60, 28]], [0, 2]),
    ("an object far from all anchors", [[500, 500, 520, 530]], [1]),
    ("an anchor's own box", [[4, 4, 28, 28], [40, 40, 88, 88], [8, 8, 56, 72]], [1, 1, 2]),
    ("no objects", [], []),
]


def main():
    boxes = anchors()
    out = dict(classes=CLASSES, anchors=boxes.int().tolist(), cases=[])
    for seed, (name, objects, labels) in enumerate(CASES):
        torch.manual_seed(seed)
        logits = (torch.randn(len(boxes), CLASSES) * 3 - 2).mul(4096).round().div(4096)
        regression = (torch.randn(len(boxes), 4) * 0.5).mul(4096).round().div(4096)
        regression[::11, 2] = 4.5  # beyond the cut
        regression[1::17] = 0  # edges that coincide
        target = dict(boxes=torch.tensor(objects, dtype=torch.float32).reshape(-1, 4),
                      labels=torch.tensor(labels, dtype=torch.int64))
        case = dict(name=name, objects=objects, labels=labels,
                    logits=[round(v * 4096) for v in logits.flatten().tolist()],
                    regression=[round(v * 4096) for v in regression.flatten().tolist()])
        for loss_type in ("l1", "giou"):
            matched = torch.full((len(boxes),), -1, dtype=torch.int64)
            if objects:
                iou = retinanet.box_ops.box_iou(target["boxes"], boxes)
                matched = Matcher(0.5, 0.4, allow_low_quality_matches=True)(iou)
            x, r = logits.clone().requires_grad_(), regression.clone().requires_grad_()
            classification_head = retinanet.RetinaNetClassificationHead(8, 1, CLASSES)
            regression_head = retinanet.RetinaNetRegressionHead(8, 1)
            regression_head._loss_type = loss_type
            assert regression_head.box_coder.weights == BoxCoder((1.0, 1.0, 1.0, 1.0)).weights
            classification = classification_head.compute_loss([target], dict(cls_logits=x[None]), [matched])
            distance = regression_head.compute_loss([target], dict(bbox_regression=r[None]), [boxes], [matched])
            (classification + distance).backward()
            case["matches"] = matched.tolist()
            case["classification"] = classification.item()
            case["by_logits"] = [float(f"{v:.9g}") for v in x.grad.flatten().tolist()]
            case[loss_type] = dict(
                loss=distance.item(), by_regression=[float(f"{v:.9g}") for v in r.grad.flatten().tolist()])
        out["cases"].append(case)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
