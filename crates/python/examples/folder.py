"""What the cluster examples share: an image is a row, and all rows are one Parquet file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retinanet import Detections, Detector, ImageReadError, Listing, LogLine, write_log

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
# What a worker answers: also the row's place, and its line of the log where one is written.
ANSWER = SCHEMA.append(pa.field("place", pa.int64())).append(pa.field("line", pa.string()))


def rows_of(listing: Listing) -> list[dict[str, Any]]:
    """A row an image: its place in the list, its name, and its path, which need not be UTF-8."""
    files = map(os.fsencode, listing.paths)
    return [{"place": place, "path": name, "file": file} for place, (name, file) in enumerate(zip(listing.names, files))]


class Find:
    """A worker: loads the weights once, then answers image after image. `arguments` are those of `Detector`."""

    def __init__(self, arguments: dict[str, Any], receipts: bool) -> None:
        self.detector = Detector(**arguments)
        self.receipts = receipts

    def answer(self, place: int, path: str, file: bytes) -> dict[str, Any]:
        """What was found, or why the image cannot be read. Boxes are x1, y1, x2, y2 one after the other."""
        if self.receipts:
            line = LogLine.create(self.detector, os.fsdecode(file), path)
            found, error, text = line.detections, line.error, line.to_json()
        else:
            found, error, text = *self.detect(path, os.fsdecode(file)), ""
        return {
            "path": path,
            "boxes": found["boxes"].ravel().tolist() if found else [],
            "scores": found["scores"].tolist() if found else [],
            "labels": found["labels"].tolist() if found else [],
            "digest": found.digest if found else "",
            "error": error or "",
            "place": place,
            "line": text,
        }

    def detect(self, path: str, file: str) -> tuple[Detections | None, str | None]:
        try:
            return self.detector(file), None
        except (ImageReadError, OSError):
            # In the log's words, which know the image by its name: they are the same wherever the folder is.
            line = LogLine.create(self.detector, file, path)
            return line.detections, line.error


def write(
    answers: pa.Table,
    out: str | os.PathLike[str],
    listing: Listing,
    arguments: dict[str, Any],
    receipts: str | os.PathLike[str] | None,
) -> pa.Table:
    """Writes the rows in the list's order, whole or not at all: the bytes depend on the rows alone. Then the log."""
    answers = answers.sort_by("place")
    # In one piece, however many there were: those, too, would show in the file.
    table = pa.Table.from_pylist(answers.select(SCHEMA.names).to_pylist(), schema=SCHEMA)
    temporary = f"{os.fspath(out)}.{os.getpid()}.partial"
    pq.write_table(table, temporary, compression="zstd")
    os.replace(temporary, out)
    if receipts is not None:
        summary = write_log(receipts, Detector(**arguments), listing, answers["line"].to_pylist(), overwrite=True)
        print(f"{summary.head}  {os.fspath(receipts)}")
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
    parser.add_argument("--receipts", metavar="LOG", help="write the log of `retinanet batch --receipts`, too")
    options = parser.parse_args()
    table = detect_folder(**vars(options))
    failed = sum(error != "" for error in table["error"].to_pylist())
    print(f"{table.num_rows} images in {options.out}, {failed} of them could not be read")
