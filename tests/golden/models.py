"""The torchvision models of the parity data, each with the liveliness its random weights need.

A model: the RetinaNet, and `lively` (see generator.tensor), or None where the weights come from a file.
"""

from functools import partial

from torch import nn
from torchvision.models import resnet
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn_v2
from torchvision.models.detection._utils import BoxCoder, overwrite_eps
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7


def over(body, widths, channels, extra):
    """An FPN of `channels` over the ResNet stages {stage: width}."""
    stages = {f"layer{stage}": str(i) for i, stage in enumerate(widths)}
    backbone = BackboneWithFPN(body, stages, list(widths.values()), channels, extra_blocks=extra)
    if extra is None:
        backbone.fpn.extra_blocks = None  # BackboneWithFPN puts a max pool where None is asked
    return backbone


def lively(log2_logits_gain, log2_boxes_gain, last_norm="bn3"):
    return dict(log2_logits_gain=log2_logits_gain, log2_boxes_gain=log2_boxes_gain, last_norm=last_norm)


def v1():
    """retinanet_resnet50_fpn as its COCO_V1 weights make it: frozen norms, eps 0."""
    body = resnet.resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = over(body, {2: 512, 3: 1024, 4: 2048}, 256, LastLevelP6P7(256, 256))
    model = RetinaNet(backbone, num_classes=91)
    overwrite_eps(model, 0.0)
    return model, lively(1, -9)


def v2():
    """retinanet_resnet50_fpn_v2."""
    return retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None), lively(7, -3)


def demo():
    """The bundled person detector: ResNet-18 to layer3, GroupNorm heads, small inputs."""
    body = resnet.resnet18(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = over(body, {2: 128, 3: 256}, 128, LastLevelP6P7(256, 128))
    sizes = ((24, 30, 38), (48, 60, 76), (96, 120, 152), (192, 241, 304))
    model = RetinaNet(
        backbone,
        num_classes=2,
        min_size=384,
        max_size=512,
        anchor_generator=AnchorGenerator(sizes, ((1.0, 2.0, 3.0),) * 4),
        head=RetinaNetHead(128, 9, 2, norm_layer=partial(nn.GroupNorm, 32)),
        detections_per_img=100,
    )
    overwrite_eps(model, 0.0)
    return model, None


def odd():
    """Stages a factor four apart, 40 channels, a max-pooled level, uneven anchors, every number moved."""
    body = resnet.resnet50(weights=None, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))
    model = RetinaNet(
        over(body, {1: 256, 3: 1024}, 40, LastLevelMaxPool()),
        num_classes=7,
        min_size=250,
        max_size=420,
        image_mean=[0.5, 0.25, 0.375],
        image_std=[0.25, 0.5, 0.3],
        anchor_generator=AnchorGenerator(
            ((12, 20), (40, 56, 72.5), (150,)),
            ((0.4, 1.0, 2.2), (0.7, 1.6), (0.25, 0.5, 1.0, 1.5, 2.0, 4.0)),
        ),
        head=RetinaNetHead(40, 6, 7, norm_layer=partial(nn.GroupNorm, 8, eps=1e-4)),
        score_thresh=0.11,
        nms_thresh=0.4,
        detections_per_img=120,
        topk_candidates=400,
        size_divisible=64,
    )
    model.box_coder = BoxCoder(weights=(2.0, 2.0, 1.5, 1.25))
    return model, lively(5, -3)


def fixed():
    """ResNet-34, a fixed input size, four stages and no extra level."""
    body = resnet.resnet34(weights=None, norm_layer=nn.BatchNorm2d)
    model = RetinaNet(
        over(body, {1: 64, 2: 128, 3: 256, 4: 512}, 48, None),
        num_classes=5,
        anchor_generator=AnchorGenerator(((10,), (20,), (40,), (80,)), ((0.5, 1.0, 2.0),) * 4),
        head=RetinaNetHead(48, 3, 5),
        fixed_size=(200, 310),
    )
    return model, lively(-1, -11, last_norm="bn2")


MODELS = {"v1": v1, "v2": v2, "demo": demo, "odd": odd, "fixed": fixed}
