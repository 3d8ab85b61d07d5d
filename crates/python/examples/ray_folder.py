"""Detects in a folder of images on a Ray cluster: one detector a worker, one Parquet file.

    python ray_folder.py photos/ found.parquet --weights person_r18.safetensors --workers 2

The file's bytes depend on the images and the weights alone: not on how many workers there are, how many images a batch
has, or which worker died on the way. Each row is an image: path, boxes (x1, y1, x2, y2 one after the other), scores,
labels, digest; or the error of an image that cannot be read. Needs `pip install "ray[data]"`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from folder import SCHEMA, Find, command, image_paths, resolved, write


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


if __name__ == "__main__":
    command(__doc__, detect_folder)
