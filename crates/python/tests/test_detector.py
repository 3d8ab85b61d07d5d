"""The detector: equal digests whatever comes in and however it is called."""

import json
import pickle
import re
import threading

import numpy as np
import pytest
from PIL import Image

from conftest import PHOTO, PUBLISHED_DIGEST, WEIGHTS
from retinanet import Detections, Detector, Determinism, Receipt, retinanet_resnet50_fpn, verify


def pixels():
    return np.asarray(Image.open(PHOTO).convert("RGB"))


def test_every_kind_of_input_gives_the_published_digest(detector):
    array = pixels()
    for image in (PHOTO, str(PHOTO), Image.open(PHOTO), array):
        assert detector(image)["digest"] == PUBLISHED_DIGEST


def test_the_answer_has_the_form_of_torchvisions(detector):
    found = detector(PHOTO)
    assert isinstance(found, dict) and list(found) == ["boxes", "labels", "scores", "digest"]
    boxes, labels, scores = found["boxes"], found["labels"], found["scores"]
    assert boxes.dtype == np.float32 and boxes.shape == (len(scores), 4) and len(scores) > 0
    assert labels.dtype == np.int64 and scores.dtype == np.float32
    assert (np.diff(scores) <= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all() and boxes.max() <= 512
    assert {detector.weights.meta["categories"][label] for label in labels} == set(found.names)
    assert found.num_detections == len(scores) and found.image_size == (512, 512)


def test_a_list_gives_each_images_own_answer_in_order(detector):
    array = pixels()
    images = [array, array[::2, ::2], PHOTO, array[:300, 50:400]]
    together = detector(images)
    alone = [detector(image) for image in images]
    assert [found.digest for found in together] == [found.digest for found in alone]
    assert detector([]) == []


def test_strides_change_nothing(detector):
    array = pixels()
    for view in (array[::-1], array[:, ::-1], array[::2, ::3], array[..., ::-1], np.asfortranarray(array)):
        assert detector(view).digest == detector(np.ascontiguousarray(view)).digest
    # An array that is changed afterwards does not change the answer.
    mine = array.copy()
    found = detector(mine)
    mine[:] = 0
    assert found.digest == PUBLISHED_DIGEST


def test_threads_and_levels_of_the_machine_change_nothing():
    for threads in (1, 3):
        assert Detector(WEIGHTS, threads=threads)(PHOTO).digest == PUBLISHED_DIGEST
    assert Detector(WEIGHTS, threads=2).threads == 2


def test_one_detector_serves_several_threads(detector):
    digests = []
    workers = [threading.Thread(target=lambda: digests.append(detector(PHOTO).digest)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert digests == [PUBLISHED_DIGEST] * 4


def test_masks_are_the_pixels_of_the_boxes(detector):
    found = detector(PHOTO).above(0.5)
    masks = found.masks("person")
    assert masks.dtype == np.bool_ and masks.shape == (found.num_detections, 512, 512)
    x1, y1, x2, y2 = found["boxes"][0]
    inside = masks[0, int((y1 + y2) / 2), int((x1 + x2) / 2)]
    assert inside and abs(masks[0].sum() / ((x2 - x1) * (y2 - y1)) - 1) < 0.02
    with pytest.raises(ValueError, match="person"):
        found.masks("persn")


def test_drawing_changes_the_picture_and_not_its_size(detector):
    found = detector(PHOTO).above(0.5)
    drawn = found.draw(PHOTO)
    assert drawn.size == (512, 512) and (np.asarray(drawn) != pixels()).any()
    assert (found.above(0.9999999).draw_array(PHOTO) == pixels()).all()


def test_detections_survive_json_and_pickle_to_the_same_bits(detector):
    found = detector(PHOTO)
    for copy in (Detections.from_json(found.to_json()), pickle.loads(pickle.dumps(found))):
        assert copy.digest == PUBLISHED_DIGEST
        assert (copy["boxes"] == found["boxes"]).all()
    with pytest.raises(ValueError):
        Detections.from_json("{}")


def test_coco_rows_are_boxes_of_width_and_height(detector):
    rows = detector(PHOTO).to_coco(image_id=7)
    first = rows[0]
    assert first["image_id"] == 7 and set(first) == {"image_id", "category_id", "bbox", "score"}
    x1, y1, x2, y2 = detector(PHOTO)["boxes"][0].tolist()
    assert first["bbox"] == [x1, y1, x2 - x1, y2 - y1]
    json.dumps(rows)


def test_supervision_gets_its_detections(detector):
    pytest.importorskip("supervision", reason="supervision is not installed: test.sh --all installs it")
    found = detector(PHOTO).above(0.5)
    theirs = found.to_supervision()
    assert len(theirs) == found.num_detections and (theirs.xyxy == found["boxes"]).all()
    assert (theirs.class_id == found["labels"]).all() and list(theirs["class_name"]) == found.names


def test_a_pickled_detector_answers_the_same(detector):
    again = pickle.loads(pickle.dumps(Detector(WEIGHTS, score_threshold=0.5)))
    assert again(PHOTO).digest == detector(PHOTO).above(0.5).digest


def test_a_trace_names_the_stages(detector):
    found, stages = detector.trace(PHOTO)
    assert list(stages)[:2] == ["decoded", "input"] and stages["detections"] == found.digest


def test_a_receipt_holds_here_and_a_changed_one_does_not(detector, tmp_path):
    path = tmp_path / "receipt.json"
    receipt = Receipt.create(detector, PHOTO)
    receipt.save(path)
    assert receipt.digest == PUBLISHED_DIGEST and receipt.detections.digest == PUBLISHED_DIGEST
    result = verify(path)
    assert result and result.same, str(result)
    changed, count = re.subn(r'("score":\s*0\.)9', r"\g<1>8", path.read_text(), count=1)
    assert count == 1
    path.write_text(changed)
    result = verify(path)
    assert not result and "seal" in str(result), str(result)


def test_the_fast_mode_is_asked_for_by_name():
    fast = Detector(WEIGHTS, determinism=Determinism.fast())
    assert fast.environment["mode"] == "fast"
    assert fast(PHOTO).above(0.5).names


def test_published_weights_are_named_as_torchvisions(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINANET_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="COCO_V1"):
        retinanet_resnet50_fpn(weights="IMAGENET1K_V1")
    from retinanet import WeightsError

    with pytest.raises(WeightsError, match="offline"):
        retinanet_resnet50_fpn(weights="DEFAULT", offline=True)
