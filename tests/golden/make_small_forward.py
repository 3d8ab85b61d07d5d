"""Writes small_forward.safetensors: logits and box regressions of three small odd RetinaNets.

Weights and pictures come from integers (`values` below; tests/small_forward.rs makes the same), so
only the answers are kept. Needs PyPI's numpy, torch, torchvision and safetensors; run it from this
folder.
"""

from functools import partial

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7


def values(name, count):
    """`count` odd integers in -4095..=4095: SplitMix64 from the FNV-1a hash of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(52)).astype(np.int64) * 2 - 4095


def tensor(name, shape):
    """Centre + odd integer * power of two, exact in f32: by rank and by the name's ending."""
    count = int(np.prod(shape))
    if len(shape) == 4:
        # About 2 / sqrt(fan in).
        centre, exponent = 0.0, -11 - int(np.prod(shape[1:])).bit_length() // 2
    elif name.endswith("running_var") or name.endswith("weight"):
        centre, exponent = 1.0, -13
    else:
        centre, exponent = 0.0, -14
    return torch.from_numpy((centre + values(name, count) * 2.0**exponent).astype(np.float32).reshape(shape))


def build(body, widths, channels, extra, anchors, classes, groups):
    stages = {f"layer{stage}": str(i) for i, stage in enumerate(widths)}
    backbone = BackboneWithFPN(body, stages, list(widths.values()), channels, extra_blocks=extra)
    norm = None if groups is None else partial(nn.GroupNorm, groups)
    model = nn.ModuleDict({"backbone": backbone, "head": RetinaNetHead(channels, anchors, classes, norm_layer=norm)})
    state = {k: tensor(k, v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    model.load_state_dict(state, strict=False)
    return model.eval()


frozen = partial(FrozenBatchNorm2d, eps=0.0)
MODELS = {
    "pool": (build(resnet.resnet18(norm_layer=frozen), {1: 64, 2: 128}, 12, LastLevelMaxPool(), 2, 3, 4), (37, 53)),
    "pyramid": (build(resnet.resnet50(), {1: 256, 2: 512}, 16, LastLevelP6P7(16, 16), 3, 2, None), (45, 61)),
    "backbone": (build(resnet.resnet34(), {2: 128}, 12, LastLevelP6P7(128, 12), 1, 1, 3), (33, 70)),
}

answers = {}
for name, (model, (h, w)) in MODELS.items():
    images = tensor(f"images.{name}", (2, 3, h, w)) * 16
    with torch.no_grad():
        output = model["head"](list(model["backbone"](images).values()))
    for key, value in output.items():
        assert value.std() > 0.1 and value.abs().max() < 1e3, (name, key, value.std(), value.abs().max())
        print(name, key, tuple(value.shape), value.std().item(), value.abs().max().item())
        # The second image is there to be batched with; its own answers are not kept.
        answers[f"{name}.{key}"] = value[0].contiguous()
save_file(answers, "small_forward.safetensors")
