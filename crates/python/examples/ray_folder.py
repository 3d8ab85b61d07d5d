"""Detects in a folder of images on a Ray cluster: one detector a worker, one Parquet file.

    python ray_folder.py photos/ found.parquet --weights person_r18.safetensors --workers 2

The file's bytes depend on the images and the weights alone: not on how many workers there are, how many images a batch
has, or which worker died on the way. Each row is an image: path, boxes (x1, y1, x2, y2 one after the other), scores,
labels, digest; or the error of an image that cannot be read. Needs `pip install "ray[data]"`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray

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


class Find:
    """A worker: loads the weights once, then answers batch after batch."""

    def __init__(self, root: str, arguments: dict[str, Any]) -> None:
        self.root = Path(root)
        self.detector = Detector(**arguments)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([self.row(path) for path in batch["path"].to_pylist()], schema=SCHEMA)

    def row(self, path: str) -> dict[str, Any]:
        try:
            found = self.detector(self.root / path)
        except (ImageReadError, OSError) as error:
            return {"path": path, "boxes": [], "scores": [], "labels": [], "digest": "", "error": str(error)}
        boxes, scores, labels = found["boxes"].ravel(), found["scores"], found["labels"]
        return {"path": path, "boxes": boxes, "scores": scores, "labels": labels, "digest": found.digest, "error": ""}


def detect_folder(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], *, workers: int, batch_size: int, **arguments: Any
) -> pa.Table:
    """Detects in every image under `folder` and writes `out`; `arguments` are those of `Detector`."""
    root = Path(folder).resolve()
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        raise ValueError(f"{folder} has no images")
    arguments["weights"] = str(Path(arguments["weights"]).resolve() if os.path.exists(arguments["weights"]) else arguments["weights"])
    found = ray.data.from_items([{"path": path} for path in paths]).map_batches(
        Find,
        fn_constructor_kwargs={"root": str(root), "arguments": arguments},
        batch_format="pyarrow",
        batch_size=batch_size,
        # A worker that dies is replaced, and its batch done again: the answer is the same.
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    table = pa.concat_tables([ray.get(table) for table in found.to_arrow_refs()]).cast(SCHEMA).sort_by("path")
    temporary = f"{os.fspath(out)}.{os.getpid()}.partial"
    pq.write_table(table.combine_chunks(), temporary, compression="zstd")
    os.replace(temporary, out)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    options = parser.parse_args()
    table = detect_folder(
        options.folder,
        options.out,
        workers=options.workers,
        batch_size=options.batch_size,
        weights=options.weights,
        threads=options.threads,
    )
    failed = sum(error != "" for error in table["error"].to_pylist())
    print(f"{table.num_rows} images in {options.out}, {failed} of them could not be read")


if __name__ == "__main__":
    main()
