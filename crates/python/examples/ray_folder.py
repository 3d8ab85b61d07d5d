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
import ray
from folder import SCHEMA, Find, image_paths, resolved, write


class FindBatch(Find):
    """A worker that answers batches of paths."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([self.row(path) for path in batch["path"].to_pylist()], schema=SCHEMA)


def detect_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str],
    workers: int,
    batch_size: int,
    **arguments: Any,
) -> pa.Table:
    """Detects in every image under `folder` and writes `out`; `arguments` are those of `retinanet.Detector`."""
    root = Path(folder).resolve()
    found = ray.data.from_items([{"path": path} for path in image_paths(root)]).map_batches(
        FindBatch,
        fn_constructor_kwargs={"root": str(root), "arguments": {"weights": resolved(weights), **arguments}},
        batch_format="pyarrow",
        batch_size=batch_size,
        # A worker that dies is replaced, and its batch done again: the answer is the same.
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    return write(pa.concat_tables(ray.get(table).cast(SCHEMA) for table in found.to_arrow_refs()), out)


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
        weights=options.weights,
        workers=options.workers,
        batch_size=options.batch_size,
        threads=options.threads,
    )
    failed = sum(error != "" for error in table["error"].to_pylist())
    print(f"{table.num_rows} images in {options.out}, {failed} of them could not be read")


if __name__ == "__main__":
    main()
