"""What the tests share: the bundled checkpoint and photo, and the published answer to them."""

from pathlib import Path

import pytest

from retinanet import Detector

ASSETS = Path(__file__).parents[3] / "examples" / "assets"
PHOTO = ASSETS / "astronaut.png"
WEIGHTS = ASSETS / "person_r18.safetensors"
PUBLISHED_DIGEST = "3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5"


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector(WEIGHTS)


pytest_plugins = ["pytester"]
