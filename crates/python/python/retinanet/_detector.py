"""The detector, in the customs of torchvision."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from . import _native
from ._detections import Detections
from ._images import ImageLike, native


@dataclass(frozen=True)
class Determinism:
    """How repeatable answers are. The default is the same bits on every machine."""

    strict: bool = True
    """Whether answers are the same to the bit everywhere. False takes what is fastest here."""
    seed: int | None = None
    """Behind every random number; a detector draws none."""

    @classmethod
    def fast(cls) -> Determinism:
        """No promise about bits."""
        return cls(strict=False)


@dataclass(frozen=True)
class Weights:
    """The weights of a detector, and what they say about themselves."""

    name: str
    meta: dict[str, Any]
    """`meta["categories"]` has the names of the classes by id, as torchvision's."""


class Detector:
    """Finds objects in images. The answer is a function of pixels, weights and configuration alone.

    `weights` is the path of a `.safetensors` or `.pth` file, or the name of published weights
    (`retinanet_resnet50_fpn_v2.coco_v1`), which are downloaded once, checked and kept. A file that lacks a tensor,
    or has one too many, is an error that lists it.

    It may be called from several threads. Pickled, it is loaded again from its weights, so that workers of
    `multiprocessing`, Ray or Spark can be given one. A detector does not survive a fork: make it in the worker.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        device: str = "cpu",
        threads: int | None = None,
        score_threshold: float | None = None,
        determinism: Determinism | None = None,
        categories: Sequence[str] | None = None,
        batch_norm_eps: float | None = None,
        offline: bool | None = None,
    ) -> None:
        determinism = determinism or Determinism()
        self._arguments: dict[str, Any] = {
            "device": device,
            "threads": threads,
            "score_threshold": score_threshold,
            "determinism": determinism,
            "categories": None if categories is None else list(categories),
            "batch_norm_eps": batch_norm_eps,
            "offline": offline,
        }
        self._weights = os.fspath(weights)
        self._native = _native.Detector(
            self._weights,
            device=device,
            threads=threads,
            score_threshold=score_threshold,
            strict=determinism.strict,
            seed=determinism.seed,
            categories=self._arguments["categories"],
            batch_norm_eps=batch_norm_eps,
            offline=offline,
        )

    @overload
    def __call__(self, images: list[ImageLike] | tuple[ImageLike, ...]) -> list[Detections]: ...
    @overload
    def __call__(self, images: ImageLike) -> Detections: ...
    def __call__(self, images: Any) -> Any:
        """The detections of one image, or of each of a list, in order.

        An image is a path, a PIL image or a numpy array (height, width, 3) uint8 in RGB. A list's answers are bit for
        bit those of each image alone. The interpreter's lock is released; Ctrl-C is heard.
        """
        if isinstance(images, (list, tuple)):
            found = self._native.detect([native(image) for image in images])
            return [Detections(one) for one in found]
        return Detections(self._native.detect([native(images)])[0])

    def trace(self, image: ImageLike) -> tuple[Detections, dict[str, str]]:
        """The detections, and the digest of every stage on the way: where two machines part."""
        found, stages = self._native.detect_traced(native(image))
        return Detections(found), dict(stages)

    @property
    def weights(self) -> Weights:
        """Its weights; `weights.meta["categories"]` has the names of the classes by id."""
        return Weights(self._weights, {"categories": self._native.categories()})

    @property
    def threads(self) -> int:
        """How many threads it uses; the answer does not depend on it."""
        return self._native.threads

    @property
    def environment(self) -> dict[str, Any]:
        """What answers are computed with: versions, CPU, mode, hash of the weights."""
        environment: dict[str, Any] = json.loads(self._native.environment())
        return environment

    def eval(self) -> Detector:
        """Itself, for code written for torchvision: it never trains."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, (self._weights, self._arguments))

    def __repr__(self) -> str:
        said = ", ".join(f"{key}={value!r}" for key, value in self._arguments.items() if value is not None)
        return f"Detector({self._weights!r}, {said})"


def _rebuilt(weights: str, arguments: dict[str, Any]) -> Detector:
    return Detector(weights, **arguments)


def retinanet_resnet50_fpn(*, weights: str = "COCO_V1", **arguments: Any) -> Detector:
    """As torchvision's function of this name, with its published weights."""
    return _published("retinanet_resnet50_fpn", weights, arguments)


def retinanet_resnet50_fpn_v2(*, weights: str = "COCO_V1", **arguments: Any) -> Detector:
    """As torchvision's function of this name, with its published weights."""
    return _published("retinanet_resnet50_fpn_v2", weights, arguments)


def _published(name: str, weights: str, arguments: dict[str, Any]) -> Detector:
    if str(weights).rsplit(".", 1)[-1] not in ("DEFAULT", "COCO_V1"):
        raise ValueError(
            f"{name} has the weights \"COCO_V1\" (also \"DEFAULT\"), not {weights!r}; for a file of your own use "
            "retinanet.Detector(path)"
        )
    return Detector(f"{name}.coco_v1", **arguments)
