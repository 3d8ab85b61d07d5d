"""Detects in a folder of images on a Ray cluster: one detector a worker, one Parquet file.

    python ray_folder.py photos/ found.parquet --weights person_r18.safetensors --workers 2

The file's bytes depend on the images and the weights alone: not on how many workers there are, how many images a batch
has, or which worker died on the way. Each row is an image: path, boxes (x1, y1, x2, y2 one after the other), scores,
labels, digest; or the error of an image that cannot be read. Needs `pip install "ray[data]"`.
"""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import ray
from folder import ANSWER, Find, command, resolved, rows_of, write

from retinanet import Listing


class FindBatch(Find):
    """A worker that answers batches of rows."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([self.answer(**row) for row in batch.to_pylist()], schema=ANSWER)


def detect_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str],
    workers: int,
    batch_size: int,
    receipts: str | os.PathLike[str] | None = None,
    **arguments: Any,
) -> pa.Table:
    """Detects in every image under `folder` and writes `out`; `arguments` are those of `retinanet.Detector`.

    `receipts` is the log that `retinanet batch --receipts` writes, to the byte.
    """
    listing = Listing(folder)
    arguments = {"weights": resolved(weights), **arguments}
    found = ray.data.from_items(rows_of(listing)).map_batches(
        FindBatch,
        fn_constructor_kwargs={"arguments": arguments, "receipts": receipts is not None},
        batch_format="pyarrow",
        batch_size=batch_size,
        # A worker that dies is replaced, and its batch done again: the answer is the same.
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    answers = pa.concat_tables(ray.get(table).cast(ANSWER) for table in found.to_arrow_refs())
    return write(answers, out, listing, arguments, receipts)


if __name__ == "__main__":
    command(__doc__, detect_folder)
