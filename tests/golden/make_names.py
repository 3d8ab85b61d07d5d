"""Writes names_v1.txt and names_v2.txt: every tensor of torchvision's two RetinaNets and its shape.

Needs PyPI's torch and torchvision. Run it from this folder; no weights are downloaded.
"""

import torchvision
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7


def v1():
    # The model that the COCO weights belong to; `retinanet_resnet50_fpn(weights=None)` is another.
    backbone = _resnet_fpn_extractor(
        resnet50(weights=None, norm_layer=FrozenBatchNorm2d),
        trainable_layers=3,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    return RetinaNet(backbone, num_classes=91)


def v2():
    return retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None)


for name, model in [("v1", v1()), ("v2", v2())]:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = [f"# torchvision {torchvision.__version__.split('+')[0]}, parameters: {parameters}"]
    for key, tensor in model.state_dict().items():
        if not key.endswith(".num_batches_tracked"):
            lines.append(" ".join([key, *map(str, tensor.shape)]))
    with open(f"names_{name}.txt", "w") as out:
        out.write("\n".join(lines) + "\n")
