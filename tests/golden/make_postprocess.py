"""Writes the reference answers for post-processing, computed by torchvision on the CPU.

    python tests/golden/make_postprocess.py

needs torch and torchvision from PyPI (last run with torchvision 0.29.2). The inputs are drawn by a small
integer generator that crates/retinanet/src/postprocess/tests repeats, so the file holds only settings
and answers. A case whose answer hangs on a rounding (a score near a cut, an overlap near the NMS
threshold, two equal scores) is thrown away and drawn again with the next seed.
"""

import json
import pathlib
import types

import numpy as np
import torch
import torchvision
from torchvision.models.detection import _utils, retinanet, transform
from torchvision.ops import boxes as box_ops

OUT = pathlib.Path(__file__).parents[2] / "crates/retinanet/src/postprocess/testdata/torchvision.json"

DEFAULTS = dict(score_thresh=0.05, nms_thresh=0.5, detections_per_img=300, topk_candidates=1000,
                box_coder_weights=[1.0, 1.0, 1.0, 1.0])


def cells(sizes, ratios=(0.5, 1.0, 2.0)):
    return [[-s, -s * r, s, s * r] for r in ratios for s in sizes]


COCO_LIKE = [cells([16.0, 20.0, 25.0]), cells([32.0, 40.0, 50.0])]

# spread: regression is drawn from [-spread, spread); lively: share of logits drawn around the threshold.
CASES = [
    dict(name="three levels, both cuts", classes=4, grids=[[6, 8], [3, 4], [2, 2]], strides=[8, 16, 32],
         cells=[cells([s]) for s in (9.0, 18.0, 36.0)], original=[97, 131], resized=[48, 64],
         spread=0.4, lively=0.5, topk_candidates=40, detections_per_img=20),
    dict(name="91 classes, default cuts", classes=91, grids=[[5, 7], [3, 4]], strides=[16, 32],
         cells=COCO_LIKE, original=[480, 640], resized=[80, 107], spread=0.5, lively=0.08),
    dict(name="one class, one anchor", classes=1, grids=[[5, 5]], strides=[8],
         cells=[[[-12.0, -10.0, 12.0, 10.0]]], original=[33, 40], resized=[40, 40], spread=0.3, lively=0.9),
    dict(name="far regression: clipped, flat and largest boxes", classes=3, grids=[[4, 6], [2, 3]],
         strides=[16, 32], cells=[cells([8.0]), cells([16.0])], original=[427, 640], resized=[64, 96],
         spread=6.0, lively=0.6),
    dict(name="other thresholds and weights", classes=5, grids=[[6, 6], [3, 3]], strides=[8, 16],
         cells=[cells([10.0]), cells([20.0])], original=[800, 799], resized=[47, 46], spread=5.0, lively=0.5,
         score_thresh=0.3, nms_thresh=0.3, box_coder_weights=[10.0, 10.0, 5.0, 5.0]),
    dict(name="nothing above the threshold", classes=3, grids=[[4, 4]], strides=[8], cells=[cells([10.0])],
         original=[32, 32], resized=[32, 32], spread=0.5, lively=0.0),
    dict(name="no detections wanted", classes=3, grids=[[4, 4]], strides=[8], cells=[cells([10.0])],
         original=[32, 32], resized=[32, 32], spread=0.5, lively=0.5, detections_per_img=0),
]


def draw(seed, stream, count):
    """Numbers in [0, 1) with 24 bits: SplitMix64 of a counter."""
    z = np.arange(count, dtype=np.uint64) + np.uint64((seed << 48) | (stream << 40))
    with np.errstate(over="ignore"):
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def inputs(case, seed):
    """Per level: logits (A*K, H, W), regression (A*4, H, W), anchors (H*W*A, 4), all f32."""
    for level, ((h, w), stride, cell) in enumerate(zip(case["grids"], case["strides"], case["cells"])):
        a, k = len(cell), case["classes"]
        u, pick, v = (draw(seed, 3 * level + i, a * max(k, 4) * h * w) for i in range(3))
        n = a * k * h * w
        logits = np.where(pick[:n] < case["lively"], 8 * u[:n] - 4.5, 4 * u[:n] - 12)
        regression = case["spread"] * (2 * v[: a * 4 * h * w] - 1)
        anchors = [[x * stride + c[0], y * stride + c[1], x * stride + c[2], y * stride + c[3]]
                   for y in range(h) for x in range(w) for c in cell]
        yield (torch.tensor(logits, dtype=torch.float32).view(a, k, h, w),
               torch.tensor(regression, dtype=torch.float32).view(a, 4, h, w),
               torch.tensor(anchors, dtype=torch.float32))


def location_major(t):
    a, c, h, w = t.shape
    return t.permute(2, 3, 0, 1).reshape(1, h * w * a, c)


class NearTie(Exception):
    pass


def need(fact):
    if not fact:
        raise NearTie


def careful_nms(boxes, scores, labels, threshold, classes_seen):
    """Per-class NMS; raises NearTie if a rounding could change its answer."""
    keep = box_ops._batched_nms_vanilla(boxes, scores, labels, threshold)
    for label in labels.unique():
        mine = labels == label
        if mine.sum() > 1:
            need(scores[mine].sort()[0].diff().min() > 1e-6)
        kept = [i for i in keep.tolist() if labels[i] == label]
        overlap = box_ops.box_iou(boxes[kept], boxes[mine])
        need(not ((overlap - threshold).abs() < 1e-3).any())
    classes_seen.append(len(labels.unique()))
    if len(keep) > 1:
        need(scores[keep].diff().abs().min() > 1e-6)
    return keep


def answer(case, seed):
    levels = list(inputs(case, seed))
    candidates = 0
    for logits, _, _ in levels:
        scores = torch.sigmoid(logits).flatten().sort(descending=True)[0]
        need(not ((scores - case["score_thresh"]).abs() < 1e-4).any())
        scores = scores[scores > case["score_thresh"]]
        candidates += len(scores)
        cut = case["topk_candidates"]
        need(len(scores) <= cut or scores[cut - 1] - scores[cut] > 1e-4)
    seen = []
    box_ops.batched_nms = lambda *args: careful_nms(*args, seen)
    # One more than wanted, so that the cut can be seen.
    model = types.SimpleNamespace(
        score_thresh=case["score_thresh"], nms_thresh=case["nms_thresh"],
        topk_candidates=case["topk_candidates"], detections_per_img=case["detections_per_img"] + 1,
        box_coder=_utils.BoxCoder(case["box_coder_weights"]))
    found = retinanet.RetinaNet.postprocess_detections(
        model,
        {"cls_logits": [location_major(level[0]) for level in levels],
         "bbox_regression": [location_major(level[1]) for level in levels]},
        [[level[2] for level in levels]], [tuple(case["resized"])])[0]
    wanted = case["detections_per_img"]
    scores = found["scores"]
    need(len(scores) <= wanted or wanted == 0 or scores[wanted - 1] - scores[wanted] > 1e-4)
    boxes = transform.resize_boxes(found["boxes"], case["resized"], case["original"])
    print(f"{case['name']}: seed {seed}, {candidates} candidates, {seen[0]} classes, {len(scores[:wanted])} kept")
    return dict(labels=found["labels"][:wanted].tolist(),
                scores=[float(f"{s:.9g}") for s in scores[:wanted].tolist()],
                boxes=[[float(f"{c:.7g}") for c in box] for box in boxes[:wanted].tolist()])


def main():
    done = []
    for case in CASES:
        case = DEFAULTS | case
        for seed in range(2000):
            try:
                case["answer"] = answer(case, seed)
            except NearTie:
                continue
            done.append(case | {"seed": seed})
            break
        else:
            raise SystemExit(f"{case['name']}: every seed has a near tie")
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in done)
    OUT.write_text(f'{{"torchvision":"{torchvision.__version__}","cases":[\n{lines}\n]}}\n')


main()
