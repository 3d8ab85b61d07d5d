"""Detects in a folder of images with Daft: the same file as `ray_folder.py` writes, to the byte.

    python daft_folder.py photos/ found.parquet --weights person_r18.safetensors --workers 2

Needs `pip install daft`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import daft
import pyarrow as pa
from daft import DataType
from folder import SCHEMA, Find, image_paths, resolved, write

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

    @daft.cls(max_concurrency=workers, use_process=True)
    class FindRow(Find):
        @daft.method(return_dtype=ROW)
        def answer(self, path: str) -> dict[str, Any]:
            return self.row(path)

    find = FindRow(str(root), {"weights": resolved(weights), **arguments})
    frame = daft.from_pydict({"path": image_paths(root)}).into_batches(batch_size)
    found = frame.select(find.answer(frame["path"]).alias("row")).to_arrow()
    return write(pa.Table.from_pylist(found["row"].to_pylist(), schema=SCHEMA), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    options = parser.parse_args()
    arguments = {"workers": options.workers, "batch_size": options.batch_size, "threads": options.threads}
    table = detect_folder(options.folder, options.out, weights=options.weights, **arguments)
    failed = sum(error != "" for error in table["error"].to_pylist())
    print(f"{table.num_rows} images in {options.out}, {failed} of them could not be read")


if __name__ == "__main__":
    main()
