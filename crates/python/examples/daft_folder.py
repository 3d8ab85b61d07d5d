"""Detects in a folder of images with Daft: the same file as `ray_folder.py` writes, to the byte.

    python daft_folder.py photos/ found.parquet --weights person_r18.safetensors --workers 2

Needs `pip install daft`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
from daft import DataType
from folder import ANSWER, Find, command, resolved, rows_of, write

from retinanet import Listing

ROW = DataType.struct(
    {
        "path": DataType.string(),
        "boxes": DataType.list(DataType.float32()),
        "scores": DataType.list(DataType.float32()),
        "labels": DataType.list(DataType.int64()),
        "digest": DataType.string(),
        "error": DataType.string(),
        "place": DataType.int64(),
        "line": DataType.string(),
    }
)


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
    # Daft's workers are new processes, and look there for what this file imports.
    paths = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    @daft.cls(max_concurrency=workers, use_process=True)
    class FindRow(Find):
        @daft.method(return_dtype=ROW)
        def row(self, place: int, path: str, file: bytes) -> dict[str, Any]:
            return self.answer(place, path, file)

    find = FindRow(arguments, receipts is not None)
    frame = daft.from_pylist(rows_of(listing)).into_batches(batch_size)
    found = frame.select(find.row(frame["place"], frame["path"], frame["file"]).alias("row")).to_arrow()
    answers = pa.Table.from_pylist(found["row"].to_pylist(), schema=ANSWER)
    return write(answers, out, listing, arguments, receipts)


if __name__ == "__main__":
    command(__doc__, detect_folder)
