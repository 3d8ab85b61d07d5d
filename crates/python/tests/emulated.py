"""The wheel on another processor: it is imported, and one detection has the published bits. Run by `wheels.sh`."""

import platform
import time
from pathlib import Path

import numpy as np

import retinanet

ASSETS = Path(__file__).parents[3] / "examples" / "assets"
PUBLISHED_DIGEST = "3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5"

began = time.monotonic()
detector = retinanet.Detector(ASSETS / "person_r18.safetensors")
found = detector(ASSETS / "astronaut.png")
assert found.digest == PUBLISHED_DIGEST, found.digest
assert found["boxes"].dtype == np.float32 and found.names[0] == "person"
assert found.masks("person").shape == (found.num_detections, 512, 512)
try:
    detector(np.zeros((4, 4), np.uint8))
except ValueError as error:
    assert "grey" in str(error)
else:
    raise AssertionError("a grey array was taken")
print(
    f"{platform.machine()}, CPython {platform.python_version()}, numpy {np.__version__}, "
    f"level {detector.environment['cpu']['level']}: {found.num_detections} detections with the published digest "
    f"in {time.monotonic() - began:.0f} s"
)
