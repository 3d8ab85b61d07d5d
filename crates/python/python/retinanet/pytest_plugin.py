"""A fixture for golden tests of what a detector finds.

    def test_street(assert_same_detections, detector):
        assert_same_detections(detector, "street.jpg", "golden/street.json")

`pytest --retinanet-update` writes the golden files. Where something differs, the failure names the first stage that
does, lists the boxes that came, went or moved, and says where the picture lies that shows both.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from . import _native
from ._detections import Detections
from ._detector import Detector
from ._images import ImageLike, native

FORMAT = "retinanet.golden"
DIGEST = re.compile(r"[0-9a-fA-F]{64}")

AssertSameDetections = Callable[[Detector, ImageLike, "str | os.PathLike[str]"], Detections]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--retinanet-update`."""
    group = parser.getgroup("retinanet")
    group.addoption(
        "--retinanet-update",
        action="store_true",
        help="write the golden files of assert_same_detections instead of comparing with them",
    )


@pytest.fixture
def assert_same_detections(request: pytest.FixtureRequest, tmp_path: Path) -> AssertSameDetections:
    """A function (detector, image, golden file or digest) that fails where a bit differs."""
    update = bool(request.config.getoption("--retinanet-update"))

    def check(detector: Detector, image: ImageLike, golden: str | os.PathLike[str]) -> Detections:
        __tracebackhide__ = True
        found, stages = detector.trace(image)
        if isinstance(golden, str) and DIGEST.fullmatch(golden):
            if found.digest != golden.lower():
                picture = _picture(tmp_path / "found.png", image, found)
                pytest.fail(
                    f"the detections have another digest\n  expected {golden.lower()}\n  found    {found.digest}\n"
                    f"{_table(found)}\nwhat was found is drawn in {picture}\n"
                    "(a golden file instead of a digest would tell what changed)",
                    pytrace=False,
                )
            return found
        path = Path(request.path).parent / golden
        if update:
            _write(path, detector, found, stages)
            return found
        expected = _read(path)
        if found.digest == expected["digest"]:
            return found
        before = Detections.from_json(json.dumps(expected["detections"]))
        pictures = [
            _picture(tmp_path / "expected.png", image, before),
            _picture(tmp_path / "found.png", image, found),
        ]
        lines = [f"{path} holds other detections than were found", _parted(expected, stages)]
        environment = detector.environment
        if expected["weights_sha256"] != environment["weights_sha256"]:
            lines.append("the weights are others than when the golden file was written")
        if expected["numerics"] != _native.NUMERICS_VERSION:
            lines.append(
                f"the golden file is of numerics {expected['numerics']}, this release of {_native.NUMERICS_VERSION}: "
                "look at the changelog, then write it again with --retinanet-update"
            )
        lines += _compared(before, found)
        lines.append(f"drawn in {pictures[0]} and {pictures[1]}")
        pytest.fail("\n".join(lines), pytrace=False)

    return check


def _write(path: Path, detector: Detector, found: Detections, stages: dict[str, str]) -> None:
    golden = {
        "format": FORMAT,
        "numerics": _native.NUMERICS_VERSION,
        "digest": found.digest,
        "weights_sha256": detector.environment["weights_sha256"],
        "stages": stages,
        "detections": json.loads(found.to_json()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    temporary.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        pytest.fail(f"there is no golden file {path}: write it with pytest --retinanet-update", pytrace=False)
    try:
        golden = json.loads(path.read_text(encoding="utf-8"))
        keys = {"format", "numerics", "digest", "weights_sha256", "stages", "detections"}
        if not isinstance(golden, dict) or golden.get("format") != FORMAT or set(golden) != keys:
            raise ValueError("it has not the keys of one")
    except ValueError as error:
        pytest.fail(
            f"{path} is no golden file of this plugin ({error}): write it again with pytest --retinanet-update",
            pytrace=False,
        )
    return golden


def _parted(expected: dict[str, Any], stages: dict[str, str]) -> str:
    if list(expected["stages"]) != list(stages):
        return "the network has other stages than when the golden file was written"
    parted = next((stage for stage, digest in stages.items() if expected["stages"][stage] != digest), None)
    if parted == "decoded":
        return "the first stage that differs is \"decoded\": the image itself has other pixels"
    return f"the first stage that differs is \"{parted}\", of {', '.join(stages)}"


def _compared(before: Detections, after: Detections) -> list[str]:
    """A line for each box that came, went, or has other bits; boxes belong together by label and overlap."""
    rest = list(range(after.num_detections))
    lines = []
    for index in range(before.num_detections):
        same = [other for other in rest if after["labels"][other] == before["labels"][index]]
        overlaps = [_iou(before["boxes"][index], after["boxes"][other]) for other in same]
        if not overlaps or max(overlaps) < 0.5:
            lines.append(f"  gone   {_row(before, index)}")
            continue
        other = same[int(np.argmax(overlaps))]
        rest.remove(other)
        score = abs(float(after["scores"][other]) - float(before["scores"][index]))
        corner = float(np.abs(after["boxes"][other] - before["boxes"][index]).max())
        if score or corner:
            lines.append(f"  moved  {_row(before, index)}  by {corner:.3g} px, score by {score:.3g}")
    lines += [f"  new    {_row(after, index)}" for index in rest]
    limit = 40
    return lines[:limit] + ([f"  and {len(lines) - limit} more"] if len(lines) > limit else [])


def _iou(a: Any, b: Any) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = float(width * height)
    area = float((a[2] - a[0]) * (a[3] - a[1])) + float((b[2] - b[0]) * (b[3] - b[1]))
    return both / (area - both)


def _row(found: Detections, index: int) -> str:
    box = " ".join(f"{corner:8.2f}" for corner in found["boxes"][index])
    return f"{found.names[index]:<16} {found['scores'][index]:.4f}  {box}"


def _table(found: Detections) -> str:
    return "\n".join(f"  {_row(found, index)}" for index in range(min(found.num_detections, 40)))


def _picture(path: Path, image: ImageLike, found: Detections) -> Path:
    found._native.draw(native(image), 0.35, True).save_png(path)
    return path
