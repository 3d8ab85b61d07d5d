"""Writes the reference answers for the flip and resize of training data, computed by torchvision on the CPU.

    python tests/golden/make_training_data.py

needs torch and torchvision from PyPI (last run with torchvision 0.29.2). The picture is a formula, which the test
repeats: value (17 x + 31 y + 57 c + x y) mod 256 of channel c at column x and row y.
"""

import json
import pathlib

import torch
from torchvision import tv_tensors
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms import v2

OUT = pathlib.Path(__file__).parents[2] / "crates/train/tests/testdata/augmented.json"
HEIGHT, WIDTH = 37, 53
MIN_SIZE, MAX_SIZE = 45, 61
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Left, top, width, height, as COCO's files have them.
BBOXES = [[10.31, 5.25, 20.07, 17.9], [0, 0, 53, 37], [30.4, 20.6, 22.6, 16.39], [1.5, 30.25, 0.75, 4.5]]
EVERY = 7


def main():
    c, y, x = torch.meshgrid(torch.arange(3), torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    picture = ((17 * x + 31 * y + 57 * c + x * y) % 256).to(torch.uint8)
    # The lines of references/detection/coco_utils.py.
    boxes = torch.as_tensor(BBOXES, dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes[:, 0::2].clamp_(min=0, max=WIDTH)
    boxes[:, 1::2].clamp_(min=0, max=HEIGHT)
    out = dict(height=HEIGHT, width=WIDTH, min_size=MIN_SIZE, max_size=MAX_SIZE, bboxes=BBOXES, every=EVERY, cases=[])
    for flip in (0.0, 1.0):
        image = tv_tensors.Image(picture)
        target = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(HEIGHT, WIDTH))
        image, target = v2.RandomHorizontalFlip(flip)(image, target)
        image = v2.functional.to_dtype(image, torch.float32, scale=True).as_subclass(torch.Tensor)
        transform = GeneralizedRCNNTransform(MIN_SIZE, MAX_SIZE, MEAN, STD).train()
        images, targets = transform([image], [dict(boxes=target.as_subclass(torch.Tensor))])
        canvas = images.tensors[0]
        out["cases"].append(dict(
            flip=flip, canvas_size=list(canvas.shape[1:]), content=list(images.image_sizes[0]),
            values=[float(f"{v:.9g}") for v in canvas.flatten()[::EVERY].tolist()],
            boxes=[[float(f"{v:.9g}") for v in box] for box in targets[0]["boxes"].tolist()]))
    OUT.write_text(json.dumps(out, separators=(",", ":")).replace('{"flip"', '\n{"flip"') + "\n")


if __name__ == "__main__":
    main()
