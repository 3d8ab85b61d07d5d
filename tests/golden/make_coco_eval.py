"""Writes crates/retinanet/src/eval/testdata/pycocotools.json: made-up data sets and their scores.

Needs pycocotools 2.0.11 and numpy. Run from the repository's root:

    python tests/golden/make_coco_eval.py

With the paths of an annotations file, a results file and a report of `retinanet eval --json`, it
compares that report with pycocotools' scores of those detections instead:

    python tests/golden/make_coco_eval.py ANNOTATIONS RESULTS REPORT
"""

import contextlib
import copy
import io
import json
import random
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OUT = "crates/retinanet/src/eval/testdata/pycocotools.json"


def score(annotations, detections, img_ids=None, cat_ids=None):
    """The 12 numbers over all categories, and of each category alone; -1 becomes None."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(annotations)
        truth.createIndex()
        if detections:
            found = truth.loadRes(copy.deepcopy(detections))
        else:  # loadRes does not take an empty list
            found = COCO()
            found.dataset = {**annotations, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        if img_ids is not None:
            evaluation.params.imgIds = img_ids
        if cat_ids is not None:
            evaluation.params.catIds = cat_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        overall = [None if x == -1 else float(x) for x in evaluation.stats]
        precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
        classes = {}
        for k, cat in enumerate(evaluation.params.catIds):
            evaluation.eval["precision"] = precision[:, :, k : k + 1]
            evaluation.eval["recall"] = recall[:, k : k + 1]
            evaluation.summarize()
            classes[int(cat)] = [None if x == -1 else float(x) for x in evaluation.stats]
    return overall, classes


def case(name, annotations, detections, img_ids=None, cat_ids=None):
    overall, classes = score(annotations, detections, img_ids, cat_ids)
    print(f"{name}: {len(detections)} detections, {overall}")
    return {
        "name": name,
        "annotations": annotations,
        "detections": [[d["image_id"], d["category_id"], *d["bbox"], d["score"]] for d in detections],
        "only_images": img_ids,
        "only_categories": cat_ids,
        "overall": overall,
        "classes": [[cat, numbers] for cat, numbers in classes.items()],
    }


def box(rng, size):
    w, h = (rng.choice([rng.randint(2, size * 4) / 4, float(size)]) for _ in range(2))
    return [rng.randint(0, 400) / 4, rng.randint(0, 400) / 4, w, h]


def shifted(rng, bbox):
    """A box near another: often with an IoU of exactly 0.5, 0.55, .. (as near as doubles come)."""
    x, y, w, h = bbox
    kind = rng.random()
    if kind < 0.35:
        return [x, y, w * rng.choice([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]) / 20, h]
    if kind < 0.5:
        return [x, y, w, h]
    near = [x + rng.uniform(-0.2, 0.2) * w, y + rng.uniform(-0.2, 0.2) * h, w, h]
    return [round(side, 2) for side in near]


def data_set(seed, n_images, categories, per_image):
    """Crowds, ties, images and categories with nothing in them, ids with gaps, lists out of order."""
    rng = random.Random(seed)
    image_ids = rng.sample(range(3, 9000), n_images)
    images = [{"id": i, "file_name": f"{i:012}.jpg"} for i in image_ids]
    annotated = categories[: max(1, len(categories) - 2)]  # the last two are in no image
    annotations, detections = [], []
    ids = rng.sample(range(1, 100_000), n_images * per_image * 2)
    for image in image_ids:
        if rng.random() < 0.15:
            continue
        for _ in range(rng.randint(0, per_image)):
            bbox = box(rng, rng.choice([8, 24, 60, 150]))
            area = bbox[2] * bbox[3] * rng.choice([1, 1, 0.75])
            area = rng.choice([area, area, 1024, 9216, 1024.5])
            crowd = int(rng.random() < 0.12)
            category = rng.choice(annotated)
            annotations.append(
                {"id": ids.pop(), "image_id": image, "category_id": category, "bbox": bbox, "area": area, "iscrowd": crowd}
            )
            if category == annotated[-1] and len(annotated) > 1:
                continue  # annotated but never found
            for _ in range(rng.choice([0, 1, 1, 2, 3 + 3 * crowd])):
                detections.append(
                    {"image_id": image, "category_id": category, "bbox": shifted(rng, bbox), "score": rng.randint(4, 64) / 64}
                )
    for image in image_ids:
        for _ in range(rng.choice([0, 0, 1, 4])):
            category = rng.choice(categories)
            detections.append(
                {"image_id": image, "category_id": category, "bbox": box(rng, 60), "score": rng.randint(1, 48) / 64}
            )
    rng.shuffle(annotations)
    rng.shuffle(detections)
    names = [{"id": c, "name": f"thing {c}"} for c in categories]
    rng.shuffle(names)
    return {"images": images, "annotations": annotations, "categories": names}, detections


def crowded():
    """More than 100 detections of a category in an image, most of them of equal score."""
    rng = random.Random(5)
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "categories": [{"id": 4, "name": "thing"}],
        "annotations": [],
    }
    found = []
    for image, count in [(2, 30), (1, 9)]:
        for n in range(count):
            bbox = [10.0 * n, 7.0 * image, 9.0, 40.0]
            truth["annotations"].append(
                {"id": 100 * image + n, "image_id": image, "category_id": 4, "bbox": bbox, "area": 360, "iscrowd": 0}
            )
            found += [
                {"image_id": image, "category_id": 4, "bbox": shifted(rng, bbox), "score": rng.choice([0.5, 0.5, 0.25, 0.75])}
                for _ in range(5)
            ]
    rng.shuffle(found)
    return truth, found


def cases():
    mixed = data_set(1, 30, [1, 2, 5, 17, 40, 90], 8)
    yield case("mixed", *mixed)
    cats, imgs = [2, 40], sorted(i["id"] for i in mixed[0]["images"])[::3]
    yield case("some images and categories", *mixed, img_ids=imgs, cat_ids=cats)
    yield case("many categories", *data_set(2, 12, list(range(3, 70, 3)), 12))
    yield case("more than 100 detections", *crowded())
    yield case("nothing found", data_set(3, 4, [1, 2, 3, 4], 5)[0], [])
    truth, found = data_set(4, 5, [7, 8, 9], 4)
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 1
    yield case("only crowds", truth, found)
    truth, found = data_set(6, 8, [3, 4, 6], 6)
    truth["annotations"].sort(key=lambda annotation: annotation["image_id"])
    for n, annotation in enumerate(truth["annotations"]):
        annotation["id"] = n
    yield case("annotation ids from 0", truth, found)
    empty = {"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    yield case("no annotations", empty, [{"image_id": 1, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5}])


def compare(annotations, results, report):
    with open(annotations) as a, open(results) as r, open(report) as s:
        annotations, results, report = json.load(a), json.load(r), json.load(s)
    listed = [c["category_id"] for c in report["classes"]]
    overall, classes = score(annotations, results, cat_ids=listed)
    assert list(report["overall"].values()) == overall, (report["overall"], overall)
    for one in report["classes"]:
        assert list(one["scores"].values()) == classes[one["category_id"]], one
    print(f"equal to the bit, over all and in {len(classes)} categories: {overall}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        compare(*sys.argv[1:])
    else:
        assert np.__version__ >= "2"
        with open(OUT, "w") as out:
            out.write("[" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases()) + "]\n")
