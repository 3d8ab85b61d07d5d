"""The pytest plugin: golden files, and what a failure tells."""

import json

from conftest import PHOTO, PUBLISHED_DIGEST, WEIGHTS

TEST = f"""
import numpy as np
import pytest
from PIL import Image
from retinanet import Detector

@pytest.fixture(scope="session")
def detector():
    return Detector({str(WEIGHTS)!r})

def test_photo(assert_same_detections, detector):
    CHANGE
    found = assert_same_detections(detector, image, GOLDEN)
    assert found.names
"""
SAME = f"image = {str(PHOTO)!r}"
DARKER = f"image = np.asarray(Image.open({str(PHOTO)!r}).convert('RGB')) // 2"


def run(pytester, change, golden, *options):
    pytester.makepyfile(TEST.replace("CHANGE", change).replace("GOLDEN", repr(golden)))
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


def test_a_digest_is_compared(pytester):
    run(pytester, SAME, PUBLISHED_DIGEST).assert_outcomes(passed=1)
    failed = run(pytester, DARKER, PUBLISHED_DIGEST)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*another digest*", f"*expected {PUBLISHED_DIGEST}*", "*drawn in*found.png*"])


def test_a_golden_file_is_written_compared_and_explains(pytester):
    missing = run(pytester, SAME, "golden/photo.json")
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*no golden file*--retinanet-update*"])

    run(pytester, SAME, "golden/photo.json", "--retinanet-update").assert_outcomes(passed=1)
    golden = pytester.path / "golden" / "photo.json"
    assert json.loads(golden.read_text())["digest"] == PUBLISHED_DIGEST
    run(pytester, SAME, "golden/photo.json").assert_outcomes(passed=1)

    failed = run(pytester, DARKER, "golden/photo.json")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(['*first stage that differs is "decoded"*', "*moved*px*", "*expected.png*found.png*"])

    golden.write_text(golden.read_text()[:200])
    damaged = run(pytester, SAME, "golden/photo.json")
    damaged.assert_outcomes(failed=1)
    damaged.stdout.fnmatch_lines(["*is no golden file*"])
