"""Writes tests/fuzz/seeds: small valid inputs that the fuzzer starts from.

    python tests/fuzz/make_seeds.py

needs torch, safetensors and pillow from PyPI. The receipt is one that `retinanet detect --receipt` wrote.
"""

import io
import json
import pathlib
import zipfile
from collections import OrderedDict

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

ROOT = pathlib.Path(__file__).parents[2]
SEEDS = pathlib.Path(__file__).parent / "seeds"


def put(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def pickles():
    base = torch.arange(16, dtype=torch.float32)
    states = {
        "one": OrderedDict(a=base),
        "views": {"model": OrderedDict([("head.a", base[2:8].view(2, 3)), ("b", base.view(4, 4).t())]), "epoch": 3},
        "parameter": OrderedDict([("backbone.body.conv1.weight", torch.nn.Parameter(base.view(2, 2, 2, 2)))]),
    }
    for name, state in states.items():
        for protocol in (2, 4):
            file = io.BytesIO()
            torch.save(state, file, pickle_protocol=protocol)
            with zipfile.ZipFile(file) as archive:
                inner = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
                put("pickle", f"{name}_{protocol}.pkl", archive.read(inner))


def images():
    picture = Image.linear_gradient("L").resize((9, 7)).convert("RGB")
    picture.putpixel((3, 2), (255, 0, 9))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, mode, options in [
        ("rgb.png", "RGB", {"exif": exif}), ("grey_alpha.png", "LA", {}), ("palette.png", "P", {}), ("one_bit.png", "1", {}),
        ("wide.png", "I;16", {}), ("palette.gif", "P", {}), ("rgb.bmp", "RGB", {}), ("palette.bmp", "P", {}), ("rgb.webp", "RGB", {"exif": exif}),
        ("lossless.webp", "RGBA", {"lossless": True}), ("rgb.tiff", "RGB", {}), ("lzw.tiff", "RGB", {"compression": "tiff_lzw"}),
        ("deflate.tiff", "L", {"compression": "tiff_adobe_deflate"}), ("grey.pgm", "L", {}), ("rgb.ppm", "RGB", {}), ("one.pbm", "1", {}),
    ]:
        file = io.BytesIO()
        kind = {"pgm": "ppm", "pbm": "ppm"}.get(name.split(".")[1], name.split(".")[1])
        source = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
        source.save(file, kind, **options)
        put("image", name, file.getvalue())


def texts():
    config = {"image_size": [4, 6], "detections": [{"label_id": 1, "label": "person", "score": 0.25, "box": [0.0, 1.5, 2.0, 3.0]}],
              "categories": ["__background__", "person"]}
    put("json", "detections.json", json.dumps(config))
    put("json", "instances.json", json.dumps({
        "images": [{"id": 7, "file_name": "a/b.jpg", "width": 640, "height": 480}, {"id": 9, "file_name": "c.jpg"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0.5, 40, 80], "area": 3200, "iscrowd": 0, "segmentation": [[1, 2, 3]]},
            {"id": 2, "image_id": 9, "category_id": 18, "bbox": [1e3, 5, 4.25, 80], "iscrowd": 1},
        ]}))
    manifest = (ROOT / "weights-manifest.toml").read_text()
    put("manifest", "builtin.toml", manifest)
    put("manifest", "first.toml", "\n[[checkpoint]]".join(manifest[manifest.index("version =") :].split("\n[[checkpoint]]")[:2]))
    with safe_open(ROOT / "examples/assets/person_r18.safetensors", "pt") as demo:
        for key, value in demo.metadata().items():
            if value.startswith("{"):
                put("json", f"{key}.json", value)


def checkpoints():
    put("checkpoint", "small.safetensors", save({"head.a": torch.zeros(2, 3), "backbone.body.b": torch.ones(5, dtype=torch.float16),
                                                 "c": torch.tensor(3)}, metadata={"config": "{}", "format": "pt"}))
    put("checkpoint", "bf16.safetensors", save({"d": torch.ones(0, 4), "e": torch.ones(2, dtype=torch.bfloat16)}))


pickles()
images()
texts()
checkpoints()
