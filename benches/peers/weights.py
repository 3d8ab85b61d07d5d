"""The network of ../lib.rs in torchvision: the same weights, made from their names."""

import sys
from pathlib import Path

import torch
from torchvision.models.detection import retinanet_resnet50_fpn_v2

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))
import generator  # noqa: E402

LIVELY = dict(log2_logits_gain=0, log2_boxes_gain=-3, last_norm="bn3")
LOGITS_BIAS = -6.5


def drawn(name, shape):
    return torch.from_numpy(generator.tensor(2, name, tuple(shape), LIVELY))


def v2():
    model = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("cls_logits.bias"):
            tensor.fill_(LOGITS_BIAS)
        elif not name.endswith("num_batches_tracked"):
            tensor.copy_(drawn(name, tensor.shape))
    return model
