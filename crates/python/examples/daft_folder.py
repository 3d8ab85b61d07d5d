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
from folder import SCHEMA, Find, command, image_paths, resolved, write

ROW = DataType.struct(
    {
        "path": DataType.string(),
        "boxes": DataType.list(DataType.float32()),
        "scores": DataType.list(DataType.float32()),
        "labels": DataType.list(DataType.int64()),
        "digest": DataType.string(),
        "error": DataType.string(),
    }
)


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
    # Daft's workers are new processes, and look there for what this file imports.
    paths = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    @daft.cls(max_concurrency=workers, use_process=True)
    class FindRow(Find):
        @daft.method(return_dtype=ROW)
        def answer(self, path: str) -> dict[str, Any]:
            return self.row(path)

    find = FindRow(str(root), {"weights": resolved(weights), **arguments})
    frame = daft.from_pydict({"path": image_paths(root)}).into_batches(batch_size)
    found = frame.select(find.answer(frame["path"]).alias("row")).to_arrow()
    return write(pa.Table.from_pylist(found["row"].to_pylist(), schema=SCHEMA), out)


if __name__ == "__main__":
    command(__doc__, detect_folder)
