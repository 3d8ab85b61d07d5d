"""Writes the reference answers for optimisers, clipping and schedules, computed by PyTorch on the CPU.

    python tests/golden/make_optimisers.py

needs torch from PyPI (last run with torch 2.15.0). Twenty steps on three small tensors, each in its own group: a matrix of
the backbone, a matrix and a bias of the head. Values and gradients are whole numbers over 4096, so that the file is small and exact.
"""

import json
import math
import pathlib

import torch

OUT = pathlib.Path(__file__).parents[2] / "crates/train/tests/testdata/optimisers.json"
STEPS = 20
SIZES = [18, 24, 5]  # backbone matrix, head matrix, head bias


def data():
    torch.manual_seed(3)
    values = [(torch.randn(n) * 0.5).mul(4096).round().div(4096) for n in SIZES]
    gradients = [[(torch.randn(n) * 0.3).mul(4096).round().div(4096) for n in SIZES] for _ in range(STEPS)]
    return values, gradients


def whole(tensor):
    return [round(v * 4096) for v in tensor.tolist()]


CASES = [
    dict(kind="sgd", learning_rate=0.05, momentum=0.9, weight_decay=1e-2, bias_weight_decay=0.0,
         backbone_factor=0.25, clip_norm=1.5, schedule="multi_step", milestones=[8, 15], gamma=0.1,
         warm_up_steps=5, warm_up_factor=0.001),
    dict(kind="sgd", learning_rate=0.02, momentum=0.0, weight_decay=0.0, bias_weight_decay=0.1,
         backbone_factor=1.0, clip_norm=None, schedule="constant", warm_up_steps=0, warm_up_factor=1.0),
    dict(kind="adam_w", learning_rate=5e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.05, bias_weight_decay=0.0,
         backbone_factor=0.24, clip_norm=1.0, schedule="cosine", last_factor=0.01, warm_up_steps=4, warm_up_factor=0.1),
    dict(kind="adam_w", learning_rate=1e-2, beta1=0.8, beta2=0.95, eps=1e-6, weight_decay=0.0, bias_weight_decay=0.3,
         backbone_factor=1.0, clip_norm=None, schedule="constant", warm_up_steps=3, warm_up_factor=0.0),
]


def run(case):
    values, gradients = data()
    tensors = [v.clone().requires_grad_() for v in values]
    rate = case["learning_rate"]
    groups = [
        dict(params=[tensors[0]], lr=rate * case["backbone_factor"], weight_decay=case["weight_decay"]),
        dict(params=[tensors[1]], lr=rate, weight_decay=case["weight_decay"]),
        dict(params=[tensors[2]], lr=rate, weight_decay=case["bias_weight_decay"]),
    ]
    if case["kind"] == "sgd":
        optimiser = torch.optim.SGD(groups, lr=rate, momentum=case["momentum"], foreach=False)
    else:
        optimiser = torch.optim.AdamW(groups, lr=rate, betas=(case["beta1"], case["beta2"]), eps=case["eps"],
                                      foreach=False)
    scheduler = torch.optim.lr_scheduler
    warm_up, factor = case["warm_up_steps"], case["warm_up_factor"]
    linear = lambda s: min(1.0, factor + (1 - factor) * s / warm_up) if warm_up else 1.0
    if case["schedule"] == "cosine":
        # CosineAnnealingLR's closed form, so that it can begin after the warm-up.
        last = case["last_factor"]
        cosine = lambda s: last + (1 - last) * (1 + math.cos(math.pi * max(0, s - warm_up) / (STEPS - warm_up))) / 2
        parts = [scheduler.LambdaLR(optimiser, lambda s: linear(s) * cosine(s))]
    elif case["schedule"] == "multi_step":
        parts = [scheduler.LinearLR(optimiser, start_factor=factor, total_iters=warm_up),
                 scheduler.MultiStepLR(optimiser, case["milestones"], case["gamma"])]
    else:
        parts = [scheduler.LambdaLR(optimiser, linear)]
    rates, norms = [], []
    for step in range(STEPS):
        rates.append(optimiser.param_groups[1]["lr"])
        for tensor, gradient in zip(tensors, gradients[step]):
            tensor.grad = gradient.clone()
        if case["clip_norm"]:
            norms.append(torch.nn.utils.clip_grad_norm_(tensors, case["clip_norm"]).item())
        optimiser.step()
        for part in parts:
            part.step()
    return dict(settings=case, learning_rates=rates, norms=norms,
                after=[[float(f"{v:.9g}") for v in t.tolist()] for t in tensors])


def main():
    values, gradients = data()
    out = dict(values=[whole(v) for v in values], gradients=[[whole(g) for g in step] for step in gradients],
               cases=[run(case) for case in CASES])
    OUT.write_text(json.dumps(out, separators=(",", ":")).replace('{"settings"', '\n{"settings"') + "\n")


if __name__ == "__main__":
    main()
