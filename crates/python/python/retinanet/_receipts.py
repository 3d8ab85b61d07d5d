"""Receipts: an answer on record that anybody can run again."""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import _native
from ._detections import Detections
from ._detector import Detector


@dataclass(frozen=True)
class Verification:
    """What running a receipt again showed. It is true where every bit is the same."""

    same: bool
    report: str
    """In words; where something differs, the first stage that does, and both environments."""

    def __bool__(self) -> bool:
        return self.same

    def __str__(self) -> str:
        return self.report


class Receipt:
    """A detection on record: environment, weights, image file, the digest of every stage, detections, a seal."""

    def __init__(self, receipt: _native.Receipt) -> None:
        self._native = receipt

    @classmethod
    def create(cls, detector: Detector, path: str | os.PathLike[str]) -> Receipt:
        """Detects in an image file and records everything about it."""
        return cls(_native.Receipt.create(detector._native, os.fspath(path)))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Receipt:
        """Reads a receipt's file."""
        return cls(_native.Receipt.open(os.fspath(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it, whole or not at all."""
        self._native.save(os.fspath(path))

    def verify(self, image: str | os.PathLike[str] | None = None) -> Verification:
        """Runs it again here; `image` says where the image file is now, if it was moved."""
        return Verification(*self._native.verify(None if image is None else os.fspath(image)))

    @property
    def digest(self) -> str:
        """The digest of its detections."""
        return self._native.digest()

    @property
    def detections(self) -> Detections:
        """What it lists."""
        return Detections(self._native.detections())


def verify(
    record: str | os.PathLike[str],
    image: str | os.PathLike[str] | None = None,
    *,
    images: str | os.PathLike[str] | None = None,
    head: str | None = None,
) -> Verification:
    """Runs a receipt, or every image of a log, again here and compares each bit.

    `image` says where a receipt's image is now, `images` the folder in which a log's names start, if they were moved.
    A log may be compared with a `head` that was published before. A log whose chain does not hold is a verdict, too.
    """
    path = os.fspath(record)
    if images is None and head is None and not _native.is_log(path):
        return Receipt.open(path).verify(image)
    if image is not None:
        raise ValueError("image is where a receipt's image is; of a log's, say images=FOLDER")
    return Verification(*_native.verify_log(path, None if images is None else os.fspath(images), head))
