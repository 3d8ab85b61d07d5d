"""What the cluster examples share: an image is a row, and all rows are one Parquet file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retinanet import Detector, ImageReadError

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("boxes", pa.list_(pa.float32())),
        ("scores", pa.list_(pa.float32())),
        ("labels", pa.list_(pa.int64())),
        ("digest", pa.string()),
        ("error", pa.string()),
    ]
)
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def image_paths(root: Path) -> list[str]:
    """The images under `root`, relative to it, sorted."""
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        raise ValueError(f"{root} has no images")
    return paths


class Find:
    """A worker: loads the weights once, then answers image after image. `arguments` are those of `Detector`."""

    def __init__(self, root: str, arguments: dict[str, Any]) -> None:
        self.root = Path(root)
        self.detector = Detector(**arguments)

    def row(self, path: str) -> dict[str, Any]:
        """What was found, or why the image cannot be read. Boxes are x1, y1, x2, y2 one after the other."""
        try:
            found = self.detector(self.root / path)
        except (ImageReadError, OSError) as error:
            return {"path": path, "boxes": [], "scores": [], "labels": [], "digest": "", "error": str(error)}
        return {
            "path": path,
            "boxes": found["boxes"].ravel().tolist(),
            "scores": found["scores"].tolist(),
            "labels": found["labels"].tolist(),
            "digest": found.digest,
            "error": "",
        }


def write(table: pa.Table, out: str | os.PathLike[str]) -> pa.Table:
    """Writes the rows sorted by path, whole or not at all: the bytes depend on the rows alone."""
    rows = sorted(table.to_pylist(), key=lambda row: row["path"])
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    temporary = f"{os.fspath(out)}.{os.getpid()}.partial"
    pq.write_table(table, temporary, compression="zstd")
    os.replace(temporary, out)
    return table


def resolved(weights: str | os.PathLike[str]) -> str:
    """A path that holds in other processes too; a name stays one."""
    return str(Path(weights).resolve()) if os.path.exists(weights) else os.fspath(weights)


def command(description: str, detect_folder: Callable[..., pa.Table]) -> None:
    """What an example does when it is run as a program."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    options = parser.parse_args()
    table = detect_folder(**vars(options))
    failed = sum(error != "" for error in table["error"].to_pylist())
    print(f"{table.num_rows} images in {options.out}, {failed} of them could not be read")
