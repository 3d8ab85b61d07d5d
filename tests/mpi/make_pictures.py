"""Writes pictures, their annotations and a recipe for a small run into a folder."""

import json
import sys
from pathlib import Path

PICTURES = 24
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
images, annotations = [], []
for number in range(PICTURES):
    width, height = 80 + number % 3 * 16, 64 + number % 2 * 8
    rows = bytearray()
    for y in range(height):
        for x in range(width):
            rows += bytes(((17 + number) * x + 31 * y + 57 * c + x * y + 40 * number) % 256 for c in range(3))
    name = f"{number}.ppm"
    (folder / name).write_bytes(b"P6 %d %d 255\n" % (width, height) + rows)
    images.append({"id": number + 1, "file_name": name, "width": width, "height": height})
    for place in range(1 + number % 3):
        box = [4 + 14 * place, 6, 26 + number % 9, 40]
        annotations.append({"id": len(annotations) + 1, "image_id": number + 1, "category_id": 1, "bbox": box})
categories = [{"id": 1, "name": "thing"}]
(folder / "made.json").write_text(
    json.dumps({"images": images, "categories": categories, "annotations": annotations})
)
recipe = """
[model]
architecture = "retinanet_resnet18_c4_fpn_gn"
categories = ["thing"]
trainable_layers = 3
min_size = 64
max_size = 112
[data]
annotations = "made.json"
images = "."
validation_annotations = "made.json"
validation_images = "."
[optimiser]
learning_rate = 0.002
[schedule]
kind = "constant"
warm_up_steps = 0
[run]
steps = 6
batch = 16
evaluate_every = 0
checkpoint_every = 1
"""
(folder / "recipe.toml").write_text(recipe)
(folder / "other.toml").write_text(recipe.replace("0.002", "0.003"))
