"""Object detection whose answer is a fact: torchvision's RetinaNet, with the same bits on every machine.

    from PIL import Image
    from retinanet import Detector

    detector = Detector("retinanet_resnet50_fpn_v2.coco_v1")
    found = detector(Image.open("photo.jpg"))      # a dict, as torchvision's
    found["boxes"], found["labels"], found["scores"]
    found["digest"]                                # the same on every machine
"""

from ._detections import Detections
from ._detector import Detector, Determinism, Weights, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
from ._images import ImageLike
from ._logs import Listing, LogLine, LogSummary, write_log
from ._native import (
    NUMERICS_VERSION,
    DeterminismError,
    ImageReadError,
    RetinaNetError,
    WeightsError,
    __version__,
)
from ._receipts import Receipt, Verification, verify

__all__ = [
    "NUMERICS_VERSION",
    "Detections",
    "Detector",
    "Determinism",
    "DeterminismError",
    "ImageLike",
    "ImageReadError",
    "Listing",
    "LogLine",
    "LogSummary",
    "Receipt",
    "RetinaNetError",
    "Verification",
    "Weights",
    "WeightsError",
    "__version__",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "verify",
    "write_log",
]
