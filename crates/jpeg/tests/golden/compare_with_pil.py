"""Compares the RGB pixels of every .jpg and .jpeg under the given folders and files with PIL's.

    cargo build --release -p retinanet-jpeg --example pixels
    python crates/jpeg/tests/golden/compare_with_pil.py FOLDER...

needs pillow from PyPI. The program to compare is target/release/examples/pixels, or PIXELS in the environment.
"""

import hashlib
import io
import os
import pathlib
import subprocess
import sys

from PIL import Image, features

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = os.environ.get("PIXELS", ROOT / "target/release/examples/pixels")


def pil(content):
    """What PIL makes of a file: hash, width, height; or None if it refuses it."""
    try:
        image = Image.open(io.BytesIO(content), formats=["JPEG", "MPO"]).convert("RGB")
    except Exception:
        return None
    return hashlib.sha256(image.tobytes()).hexdigest(), *image.size


def ours(paths):
    """The same by our program, for many files."""
    answers = []
    for start in range(0, len(paths), 200):
        lines = subprocess.run([PROGRAM, *paths[start : start + 200]], check=True, capture_output=True, text=True).stdout.splitlines()
        for line in lines:
            hash_, width, height, *_ = line.split(" ")
            answers.append(None if hash_ == "error" else (hash_, int(width), int(height)))
    assert len(answers) == len(paths)
    return answers


def main(arguments):
    paths = []
    for argument in map(pathlib.Path, arguments):
        found = [argument] if argument.is_file() else argument.rglob("*")
        paths += sorted(path for path in found if path.suffix.lower() in (".jpg", ".jpeg"))
    counts = {"equal": 0, "both refuse": 0, "different": 0, "only PIL decodes": 0, "only we decode": 0}
    for path, our in zip(paths, ours(paths)):
        their = pil(path.read_bytes())
        if our == their:
            counts["both refuse" if our is None else "equal"] += 1
            continue
        kind = "only PIL decodes" if our is None else "only we decode" if their is None else "different"
        counts[kind] += 1
        print(f"{kind}: {path}")
    print(f"{len(paths)} files, Pillow {Image.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}: {counts}")
    return counts["different"] + counts["only PIL decodes"] + counts["only we decode"] > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
