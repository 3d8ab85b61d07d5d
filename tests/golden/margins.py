"""Says whether an answer could change by rounding alone: such pictures are kept out of the data."""

import torch
from torchvision.ops import box_iou

SCORE = 1e-4
IOU = 1e-3


def doubt(model, threshold, logits, nms):
    """Why this answer hangs by a hair, or None.

    The model has run with its score threshold SCORE below `threshold`, so that whatever may or may not reach
    the threshold took part in the suppression: such a box must be a sure loser there.

    logits: one (anchors, classes) tensor a level; nms: what went into the suppression and came out.
    """
    assert model.score_thresh == threshold - SCORE
    cut = model.topk_candidates
    for level, level_logits in enumerate(logits):
        scores = level_logits.sigmoid().flatten()
        scores = scores[scores > model.score_thresh].sort(descending=True).values
        if len(scores) > cut and scores[cut - 1] - scores[cut] <= 2 * SCORE:
            return f"level {level}: two scores are as good as equal at rank {cut}"

    boxes, scores, labels, kept = nms
    if len(kept) > model.detections_per_img:
        last, next_one = scores[kept[model.detections_per_img - 1]], scores[kept[model.detections_per_img]]
        if last - next_one <= 2 * SCORE:
            return f"two scores are as good as equal at rank {model.detections_per_img}"
        kept = kept[: model.detections_per_img]
        lowest = last
    else:
        lowest = 0.0
    if (scores[kept] <= threshold + SCORE).any():
        return "a score at the threshold"

    is_kept = torch.zeros(len(scores), dtype=torch.bool)
    is_kept[kept] = True
    for label in labels[kept].unique():
        winners = ((labels == label) & is_kept).nonzero().flatten()
        losers = ((labels == label) & ~is_kept & (scores >= lowest)).nonzero().flatten()
        among = box_iou(boxes[winners], boxes[winners]).fill_diagonal_(0)
        if (among > model.nms_thresh - IOU).any():
            return "two kept boxes overlap almost enough for one to go"
        overlap = box_iou(boxes[winners], boxes[losers]) > model.nms_thresh + IOU
        before = scores[winners][:, None] - scores[losers][None] > 2 * SCORE
        if not (overlap & before).any(0).all():
            return "a box is suppressed by a hair"
    return None
