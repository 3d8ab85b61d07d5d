"""What may be given as an image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from ._native import Image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

    ImageLike: TypeAlias = Union[str, "os.PathLike[str]", npt.NDArray[np.uint8], PILImage]
else:
    ImageLike = Any


def native(image: ImageLike) -> Image:
    """The picture that the detector gets: RGB, uint8.

    A path is decoded as the command decodes it, upright as its EXIF data says. A PIL image and an array are
    taken as they are, as torchvision takes them.
    """
    if isinstance(image, (str, os.PathLike)):
        return Image.open(_path(image))
    if isinstance(image, np.ndarray):
        return from_array(image)
    if hasattr(image, "convert") and hasattr(image, "getbands"):
        # PIL says "Operation on closed image" where it is closed.
        return from_array(np.asarray(image if image.mode == "RGB" else image.convert("RGB")))
    raise TypeError(
        f"an image must be a path, a PIL image or a numpy array of shape (height, width, 3) and dtype "
        f"uint8, not {_described(image)}"
    )


def from_array(array: npt.NDArray[Any]) -> Image:
    """The picture that an array holds, after a look at its dtype and shape."""
    if array.dtype != np.uint8:
        hint = "; a float image in 0..1 becomes one by (image * 255).round().astype('uint8')"
        raise TypeError(f"an image array must be uint8, not {array.dtype}{hint if array.dtype.kind == 'f' else ''}")
    if array.ndim != 3 or array.shape[2] != 3:
        hint = ""
        if array.ndim == 3 and array.shape[0] == 3:
            hint = "; this looks like (3, height, width): use array.transpose(1, 2, 0)"
        elif array.ndim == 2:
            hint = "; a grey image becomes one by numpy.stack([array] * 3, axis=-1)"
        raise ValueError(f"an image array must have shape (height, width, 3), RGB, not {array.shape}{hint}")
    return Image.from_array(array)


def _path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"a path must be text, not {_described(text)}")
    return text


def _described(value: object) -> str:
    return "None" if value is None else f"a {type(value).__module__}.{type(value).__qualname__}"
