"""What is refused, and with which exception: never a crash."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from conftest import PHOTO, PUBLISHED_DIGEST, WEIGHTS
from retinanet import Detector, ImageReadError, RetinaNetError, WeightsError


@pytest.mark.parametrize(
    ("image", "exception", "part"),
    [
        (None, TypeError, "None"),
        (7, TypeError, "int"),
        (b"photo.png", TypeError, "bytes"),
        (np.zeros((4, 4, 3), np.float32), TypeError, "uint8, not float32"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "uint8, not int64"),
        (np.zeros((4, 4), np.uint8), ValueError, "grey"),
        (np.zeros((3, 40, 40), np.uint8), ValueError, "transpose"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, "(4, 4, 4)"),
        (np.zeros((0, 4, 3), np.uint8), ImageReadError, "0"),
        (np.zeros((1, 1, 1, 3), np.uint8), ValueError, "(1, 1, 1, 3)"),
        ("there/is/none.png", FileNotFoundError, "there/is/none.png"),
        (str(WEIGHTS), ImageReadError, "not an image"),
        (str(PHOTO.parent), ImageReadError, "folder"),
        ("null\0byte.png", ImageReadError, "NUL"),
        ("surrogate\ud800.png", Exception, ""),
        (np.zeros((1, 9000, 3), np.uint8), ImageReadError, ""),
    ],
)
def test_what_is_no_image_is_refused(detector, image, exception, part):
    with pytest.raises(exception) as raised:
        detector(image)
    assert part in str(raised.value), raised.value
    with pytest.raises(exception):
        detector([PHOTO, image])


def test_a_closed_image_is_refused(detector):
    image = Image.open(PHOTO)
    image.close()
    with pytest.raises(ValueError, match="closed"):
        detector(image)


def test_files_cut_short_are_refused(detector, tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(PHOTO.read_bytes()[:5000])
    with pytest.raises(ImageReadError, match="cut.png"):
        detector(path)


def test_a_path_that_is_not_utf8_is_read(detector, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png")
    with open(path, "wb") as file:
        file.write(PHOTO.read_bytes())
    assert detector(path).digest == PUBLISHED_DIGEST


@pytest.mark.parametrize(
    ("arguments", "exception", "part"),
    [
        ({"weights": "no/such/file.safetensors"}, (WeightsError, FileNotFoundError), "no/such/file.safetensors"),
        ({"weights": PHOTO}, WeightsError, "astronaut.png"),
        ({"weights": "retinanet_resnet50_fpn.coco_v2"}, (WeightsError, ValueError), "coco_v1"),
        ({"device": "gpu"}, ValueError, "cuda:N"),
        ({"threads": 0}, ValueError, "threads"),
        ({"threads": -1}, OverflowError, ""),
        ({"score_threshold": float("nan")}, (ValueError, RetinaNetError), "NaN"),
        ({"categories": ["a", "b", "c", "d"]}, (ValueError, RetinaNetError, WeightsError), ""),
        ({"categories": []}, (ValueError, RetinaNetError), ""),
        ({"batch_norm_eps": -1.0}, (ValueError, RetinaNetError, WeightsError), ""),
    ],
)
def test_settings_that_make_no_detector_are_refused(arguments, exception, part):
    with pytest.raises(exception) as raised:
        Detector(**{"weights": WEIGHTS, "offline": True} | arguments)
    assert part in str(raised.value), raised.value


def _detect_in_child(detector, queue):
    try:
        queue.put(detector(PHOTO).digest)
    except RetinaNetError as error:
        queue.put(f"refused: {error}")


def test_after_a_fork_the_child_is_told_and_does_not_hang(detector):
    assert detector(PHOTO).digest == PUBLISHED_DIGEST
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_detect_in_child, args=(detector, queue))
    child.start()
    answer = queue.get(timeout=60)
    child.join(timeout=60)
    assert child.exitcode == 0 and answer.startswith("refused:") and "spawn" in answer


def test_a_spawned_child_gets_a_detector_of_its_own(detector):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_detect_in_child, args=(detector, queue))
    child.start()
    answer = queue.get(timeout=120)
    child.join(timeout=60)
    assert answer == PUBLISHED_DIGEST


def test_ctrl_c_is_heard_while_it_detects():
    program = f"""
import signal, numpy as np
from retinanet import Detector
# What runs these tests may itself be deaf to Ctrl-C, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
detector = Detector({str(WEIGHTS)!r}, threads=1)
images = [np.zeros((1300, 1300, 3), np.uint8)] * 200
print("ready", flush=True)
try:
    detector(images)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    import os
    os._exit(7)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.7)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "interrupted\n"
    assert child.wait(timeout=30) == 7 and time.monotonic() - began < 10
