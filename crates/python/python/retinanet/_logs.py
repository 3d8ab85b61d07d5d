"""Logs of many images: workers make the lines, wherever they are, and one program chains them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from . import _native
from ._detections import Detections
from ._detector import Detector


class Listing:
    """The images that `inputs` mean, in the order and with the names that the command gives them.

    An input is a file, a folder, a pattern, or a list (`.txt`: one path a line).
    """

    def __init__(self, *inputs: str | os.PathLike[str]) -> None:
        self._native = _native.Listing([os.fspath(one) for one in inputs])
        self.root = os.fspath(self._native.root())
        """The deepest folder that all of them have in common."""
        self.names = self._native.names()
        """The name of each: its path below `root`. What is not UTF-8 in it is replaced."""
        self.paths = [os.path.join(self.root, path) for path in self._native.paths()]
        """Where each is."""

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Listing({len(self)} images in {self.root!r})"


class LogLine:
    """What a log will say about one image: digests of the file and of every stage, or the error.

    A worker makes it and hands it on, pickled or by `to_json`; `write_log` chains all of them.
    """

    def __init__(self, line: _native.LogLine, found: _native.Detections | None = None) -> None:
        self._native = line
        self.detections = None if found is None else Detections(found)
        """What was found, where the line was made; `None` for an image with an error, and after `from_json`."""

    @classmethod
    def create(cls, detector: Detector, path: str | os.PathLike[str], name: str) -> LogLine:
        """Detects in an image file; `name` is its name in the listing. An image that cannot be read has an `error`."""
        return cls(*_native.LogLine.create(detector._native, os.fspath(path), name))

    @classmethod
    def from_json(cls, text: str) -> LogLine:
        """Reads what `to_json` wrote."""
        return cls(_native.LogLine.from_json(text))

    def to_json(self) -> str:
        """One line of JSON."""
        return self._native.to_json()

    @property
    def image(self) -> str:
        """The image's name."""
        return self._native.image()

    @property
    def error(self) -> str | None:
        """Why there is no answer, if there is none."""
        return self._native.error()

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (self.to_json(), self.detections))

    def __repr__(self) -> str:
        return f"LogLine({self.image!r}, {self.error or self.detections or 'answered'})"


def _rebuilt(text: str, detections: Detections | None) -> LogLine:
    line = LogLine.from_json(text)
    line.detections = detections
    return line


@dataclass(frozen=True)
class LogSummary:
    """What a finished log is known by."""

    head: str
    """The hash of its last line, which stands for all of it."""
    images: int
    failed: int
    """Images without an answer."""


def write_log(
    path: str | os.PathLike[str],
    detector: Detector,
    listing: Listing,
    lines: Iterable[LogLine | str],
    *,
    overwrite: bool = False,
) -> LogSummary:
    """Writes the log that `retinanet batch --receipts` writes over the same images, to the byte.

    `lines` are those of all images in the listing's order, as `LogLine` or as its JSON; they are taken one by one.
    `detector` detects nothing here: a line that was made with other weights, another configuration or version is
    refused, as are one too many and one too few. The log appears whole or not at all; `retinanet verify` runs it again.
    """
    native = (LogLine.from_json(line)._native if isinstance(line, str) else _native_of(line) for line in lines)
    return LogSummary(*_native.write_log(os.fspath(path), detector._native, listing._native, native, overwrite))


def _native_of(line: object) -> _native.LogLine:
    if isinstance(line, LogLine):
        return line._native
    raise TypeError(f"a line must be a LogLine or its JSON, not {line!r:.80}")
