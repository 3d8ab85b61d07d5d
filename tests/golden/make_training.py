"""Writes training.json: losses, gradients and trained weights of two RetinaNets, computed by torchvision on the CPU.

    python tests/golden/make_training.py

needs numpy, safetensors, torch and torchvision from PyPI (last run with torchvision 0.29.2). Weights come from the
bundled checkpoint or from integers (generator.py), pictures from integers, so only a sample of the answers is kept:
of each tensor some values, spread evenly, and the largest magnitude of all.
"""

import json
import pathlib
from functools import partial

import generator
import models
import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision.models import resnet
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

HERE = pathlib.Path(__file__).parent
SEED = 21
SAMPLE = 12
STEPS = 20
# (width, height) of the canvases, and x1, y1, x2, y2, class of their objects.
PICTURES = [
    ((128, 96), [[20, 8, 92, 90, 1], [70, 40, 120, 80, 1]]),
    ((96, 160), [[4, 30, 60, 150, 1]]),
]


def bottleneck():
    """ResNet-50 to layer2, all of which trains, plain batch norm, 32 channels, two classes, heads without norm."""
    body = resnet.resnet50(weights=None, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))
    return RetinaNet(
        models.over(body, {1: 256, 2: 512}, 32, LastLevelP6P7(512, 32)),
        num_classes=2,
        anchor_generator=AnchorGenerator(((16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 4),
        head=RetinaNetHead(32, 3, 2),
    ), models.lively(-14, -9)


def canvas(index, width, height, dtype):
    """Planes R, G, B in -2..2, exact in f32."""
    picture = generator.picture(SEED + index, width, height).astype(np.float32)
    return torch.from_numpy((picture / 64 - 2).transpose(2, 0, 1).copy()).to(dtype)


def losses_of(model, index):
    """torchvision's losses of one picture on its own canvas."""
    (width, height), objects = PICTURES[index]
    dtype = next(model.parameters()).dtype
    images = ImageList(canvas(index, width, height, dtype)[None], [(height, width)])
    features = list(model.backbone(images.tensors).values())
    outputs = model.head(features)
    anchors = model.anchor_generator(images, features)
    objects = torch.tensor(objects, dtype=dtype)
    targets = [dict(boxes=objects[:, :4], labels=objects[:, 4].long())]
    losses = model.compute_loss(targets, outputs, anchors)
    return losses["classification"], losses["bbox_regression"]


def sampled(tensor):
    values = tensor.detach().flatten()
    return values[[i * (len(values) - 1) // (SAMPLE - 1) for i in range(SAMPLE)]]


def sample(tensor):
    values = tensor.detach().flatten()
    places = [i * (len(values) - 1) // (SAMPLE - 1) for i in range(SAMPLE)]
    return dict(largest=values.abs().max().item(), values=[float(f"{values[i].item():.9g}") for i in places])


def trained(build, optimiser):
    """What training changes, and how far PyTorch in f32 is from PyTorch in f64: where a gradient hangs on the sign of what
    goes into a ReLU, rounding alone parts two runs."""
    loss, change, before = changed(build, optimiser, torch.float32)
    _, exact, _ = changed(build, optimiser, torch.float64)
    doubt = 0.0
    for name in change:
        # What rounding the weight itself twice a step may come to counts for nothing.
        rounding = 2 * STEPS * 2.0**-24 * sampled(before[name]).abs()
        beyond = ((sampled(change[name]) - sampled(exact[name])).abs() - rounding).clamp(min=0)
        doubt = max(doubt, (beyond.max() / exact[name].abs().max()).item())
    print("last loss", loss, "doubt", doubt)
    return dict(last_loss=loss, doubt=doubt, change={name: sample(values) for name, values in change.items()})


def changed(build, optimiser, dtype):
    model, names = build()
    model.to(dtype)
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].detach().clone() for name in names}
    optimiser = optimiser([parameters[name] for name in names])
    for _ in range(STEPS):
        optimiser.zero_grad()
        total = sum(sum(losses_of(model, index)) for index in range(len(PICTURES))) / len(PICTURES)
        total.backward()
        torch.nn.utils.clip_grad_norm_([parameters[name] for name in names], 5.0)
        optimiser.step()
    return total.item(), {name: (parameters[name] - before[name]).detach() for name in names}, before


def demo():
    model, _ = models.demo()
    state = load_file(HERE / "../../examples/assets/person_r18.safetensors")
    model.load_state_dict({k: v for k, v in state.items()}, strict=True)
    model.head.regression_head._loss_type = "giou"
    frozen = ("backbone.body.conv1", "backbone.body.layer1")
    return prepared(model, lambda name: not name.startswith(frozen))


def drawn():
    model, lively = bottleneck()
    state = {
        name: torch.from_numpy(generator.tensor(SEED, name, tuple(value.shape), lively))
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    model.load_state_dict(state, strict=False)
    return prepared(model, lambda name: True)


def prepared(model, trains):
    """The model with frozen batch norms, and the names of what trains."""
    model.eval()  # batch norm uses its running statistics; nothing else differs
    names = []
    norms = {f"{name}." for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, parameter in model.named_parameters():
        of_norm = any(name.startswith(norm) for norm in norms)
        parameter.requires_grad_(trains(name) and not of_norm)
        if parameter.requires_grad:
            names.append(name)
    return model, names


def main():
    out = dict(seed=SEED, pictures=[dict(size=size, objects=objects) for size, objects in PICTURES], cases=[])
    for name, build in (("demo", demo), ("bottleneck", drawn)):
        model, names = build()
        parameters = dict(model.named_parameters())
        case = dict(name=name, images=[])
        for index in range(len(PICTURES)):
            model.zero_grad()
            classification, regression = losses_of(model, index)
            (classification + regression).backward()
            gradients = {name: sample(parameters[name].grad) for name in names}
            print(name, index, classification.item(), regression.item(),
                  min(g["largest"] for g in gradients.values()), max(g["largest"] for g in gradients.values()))
            case["images"].append(
                dict(classification=classification.item(), regression=regression.item(), gradients=gradients))
        # Small steps, and an eps that is not far below the gradients: AdamW with eps 1e-8 moves a weight by the whole rate where
        # its gradient is but rounding.
        rate = 2e-5
        sgd = partial(torch.optim.SGD, lr=rate, momentum=0.9, weight_decay=1e-4)
        adamw = partial(torch.optim.AdamW, lr=rate / 10, weight_decay=0.05, eps=1e-3)
        case["sgd"] = trained(build, sgd) | dict(rate=rate)
        case["adamw"] = trained(build, adamw) | dict(rate=rate / 10)
        out["cases"].append(case)
    text = json.dumps(out, separators=(",", ":"))
    (HERE / "training.json").write_text(text.replace('{"classification"', '\n{"classification"') + "\n")


if __name__ == "__main__":
    main()
