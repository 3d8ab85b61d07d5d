"""Prints PIL's pixels of the JPEGs that the image tests pin, and checks that the pins are those.

    python tests/golden/make_jpeg_pixels.py

Needs Pillow with libjpeg-turbo. The pixels are as stored: no EXIF orientation is applied. Each line is the file's name,
its sides and the start of the SHA-256 of its RGB bytes, as in crates/retinanet/src/image/tests/mod.rs.
"""

import hashlib
import re
import sys
from pathlib import Path

import PIL
from PIL import Image, features

IMAGES = Path(__file__).resolve().parents[2] / "crates/retinanet/src/image"

print(f"# Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}")
pins = dict(re.findall(r'\(\s*"([\w.]+\.jpg)",.*?"([0-9a-f]{16})",?\s*\)', (IMAGES / "tests/mod.rs").read_text(), re.DOTALL))
different = []
for path in sorted((IMAGES / "testdata").glob("*.jpg")):
    with Image.open(path) as image:
        pixels = image.convert("RGB")
    start = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
    print(path.name, *pixels.size, start)
    if pins.pop(path.name, None) != start:
        different.append(path.name)
if different or pins:
    sys.exit(f"not pinned as PIL has it: {different}; pinned without a file: {sorted(pins)}")
