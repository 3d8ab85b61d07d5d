"""What was found in one image: a dict as torchvision's, and what one does with it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _native
from ._images import ImageLike, native

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage


class Detections(dict[str, Any]):
    """The detections of one image, best score first.

    As a dict it is what torchvision's detectors answer, as numpy arrays: ``boxes`` (N, 4) float32 as x1, y1,
    x2, y2 in the image's pixels, ``labels`` (N) int64, ``scores`` (N) float32; and ``digest``, 64 hexadecimal
    digits over the exact bits of all of these, the same on every machine.
    """

    def __init__(self, found: _native.Detections) -> None:
        self._native = found
        super().__init__(
            boxes=found.boxes(), labels=found.labels(), scores=found.scores(), digest=found.digest()
        )

    @property
    def digest(self) -> str:
        """SHA-256 over the exact bits of image size, boxes, scores, labels and their order."""
        return self._native.digest()

    @property
    def names(self) -> list[str]:
        """The name of each detection's label."""
        return self._native.names()

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self._native.image_size()

    def above(self, score: float) -> Detections:
        """Only the detections whose score is greater than `score`."""
        return Detections(self._native.above(score))

    def only(self, labels: str | Sequence[str]) -> Detections:
        """Only the detections with these labels. An unknown name is a ValueError that suggests a near one."""
        return Detections(self._native.only([labels] if isinstance(labels, str) else list(labels)))

    def masks(self, label: str) -> npt.NDArray[np.bool_]:
        """The detections of `label` as masks, (N, height, width) bool.

        They are filled boxes: RetinaNet finds boxes, not outlines.
        """
        return self._native.masks(label)

    def draw(self, image: ImageLike, *, mask_opacity: float = 0.35, captions: bool = True) -> PILImage:
        """The picture with translucent masks, boxes and captions on it, as a PIL image.

        `image` is what was detected in. Without PIL, `draw_array` gives the pixels.
        """
        from PIL import Image

        return Image.fromarray(self.draw_array(image, mask_opacity=mask_opacity, captions=captions))

    def draw_array(
        self, image: ImageLike, *, mask_opacity: float = 0.35, captions: bool = True
    ) -> npt.NDArray[np.uint8]:
        """As `draw`, as an array (height, width, 3) uint8."""
        return self._native.draw(native(image), mask_opacity, captions).to_array()

    def to_json(self) -> str:
        """The command's JSON form; every float reads back to the same bits."""
        return self._native.to_json()

    @classmethod
    def from_json(cls, text: str) -> Detections:
        """What `to_json` wrote, to the same bits."""
        return cls(_native.Detections.from_json(text))

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """COCO's result format: one dict a detection, boxes as x, y, width, height."""
        rows = zip(self["boxes"].tolist(), self["labels"].tolist(), self["scores"].tolist(), strict=True)
        return [
            {"image_id": image_id, "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            for (x1, y1, x2, y2), label, score in rows
        ]

    def to_supervision(self) -> Any:
        """A `supervision.Detections` (needs the package `supervision`)."""
        import supervision

        return supervision.Detections(
            xyxy=self["boxes"],
            confidence=self["scores"],
            class_id=self["labels"],
            data={"class_name": np.array(self.names)},
        )

    def __len__(self) -> int:
        """How many keys, as of any dict; `num_detections` counts what was found."""
        return super().__len__()

    @property
    def num_detections(self) -> int:
        """How many objects were found."""
        return len(self._native)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (_from_json, (self.to_json(),))

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for name in self.names:
            counts[name] = counts.get(name, 0) + 1
        found = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"
        return f"Detections({found}; digest {self.digest[:8]}..)"


def _from_json(text: str) -> Detections:
    return Detections.from_json(text)


def save_json(found: Sequence[Detections], path: str | os.PathLike[str]) -> None:
    """Writes a JSON list, for `Detections.from_json` of each."""
    text = json.dumps([json.loads(one.to_json()) for one in found])
    temporary = f"{os.fspath(path)}.{os.getpid()}.partial"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
