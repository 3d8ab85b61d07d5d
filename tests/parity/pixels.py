"""Compares the pixels that the command `retinanet` decodes from files with PIL's.

    cargo build --workspace --release --bin retinanet
    python tests/parity/pixels.py FOLDER...
    python tests/parity/pixels.py --webp 75 --photos 20 FOLDER...     # the same photos, saved as lossy WebP before

PIL's pixels are those of `ImageOps.exif_transpose(Image.open(file)).convert("RGB")`: what users of torchvision have. The
command's are read off a picture that it draws without any detection. The exit status is 1 where a file differs.

needs pillow and numpy from PyPI. Not part of CI.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "target/release/retinanet"
WEIGHTS = ROOT / "examples/assets/person_r18.safetensors"


def pil(content):
    """PIL's pixels, or why it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
        except Exception as error:  # noqa: BLE001: PIL raises many kinds
            return f"{type(error).__name__}: {error}"


def ours(command, path):
    """The command's pixels, or why it has none. No score is above 1, so nothing is drawn."""
    with tempfile.TemporaryDirectory() as folder:
        call = [command, "detect", "--weights", WEIGHTS, "--score-threshold", "1", "--overlay", folder, path]
        run = subprocess.run(list(map(str, call)), capture_output=True, text=True)
        drawn = list(Path(folder).glob("*.png"))
        if run.returncode == 0 and len(drawn) == 1:
            return np.asarray(Image.open(drawn[0]).convert("RGB"))
        return run.stderr.strip()


def difference(theirs, mine):
    """How two answers differ; nothing where the pixels are equal."""
    if isinstance(theirs, str) or isinstance(mine, str):
        return {key: True for key, side in (("pil_refuses", theirs), ("refused", mine)) if isinstance(side, str)}
    if theirs.shape != mine.shape:
        return {"our_size": [mine.shape[1], mine.shape[0]]}
    apart = np.abs(theirs.astype(int) - mine.astype(int))
    if not apart.any():
        return {}
    return {"largest": int(apart.max()), "pixels": int(apart.any(2).sum()), "mean": round(float(apart.mean()), 3)}


def as_webp(path, quality, folder):
    """The photo as lossy WebP, each with another method, and every fourth with alpha."""
    at = len(list(folder.iterdir()))
    image = Image.open(path).convert("RGB")
    if at % 4 == 3:
        image.putalpha(image.convert("L"))
    saved = folder / f"{path.stem}.webp"
    image.save(saved, quality=quality, method=at % 7)
    return saved


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, help="folders and files")
    parser.add_argument("--command", type=Path, default=COMMAND)
    parser.add_argument("--webp", type=int, metavar="QUALITY", help="save each as lossy WebP of this quality first")
    parser.add_argument("--photos", type=int, metavar="N", help="take the first N")
    args = parser.parse_args()
    files = [file for path in args.paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    endings = {ending for ending in Image.registered_extensions() if ending in Image.EXTENSION}
    files = [file for file in files if file.suffix.lower() in endings][: args.photos]
    counts = {"equal": 0, "different": 0, "only one reads it": 0, "both refuse": 0}
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            if args.webp is not None:
                file = as_webp(file, args.webp, Path(folder))
            row = difference(pil(file.read_bytes()), ours(args.command, file))
            refusals = len({"pil_refuses", "refused"} & set(row))
            kind = ["different" if row else "equal", "only one reads it", "both refuse"][refusals]
            counts[kind] += 1
            if row:
                print(f"{file}: {row}", flush=True)
    print(f"{len(files)} files, Pillow {Image.__version__}, libwebp {features.version('webp')}: {counts}")
    return not files or counts["different"] + counts["only one reads it"] > 0


if __name__ == "__main__":
    sys.exit(main())
