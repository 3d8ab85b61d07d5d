"""Writes the reference gradients of the kernels, computed by PyTorch on the CPU in float64 and in float32.

    python tests/golden/make_gradients.py

needs torch from PyPI (last run with torch 2.15.0). Every value that goes in is made by one formula that the test
repeats, so that only answers are stored: one in seven, in float64 rounded to eight digits, and the tensor's largest.
Beside them stands what PyTorch's own float32 is off, as a share of that.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parents[2] / "crates/kernels/tests/testdata/gradients.json"

# Name, input channels, output channels, kernel, stride, padding, height, width.
CONVOLUTIONS = [
    ("winograd", 16, 17, 3, 1, 1, 11, 14),
    ("winograd, no padding", 17, 16, 3, 1, 0, 9, 10),
    ("3x3, stride 2", 16, 18, 3, 2, 1, 11, 14),
    ("1x1", 18, 16, 1, 1, 0, 7, 9),
    ("1x1, stride 2", 16, 17, 1, 2, 0, 8, 9),
    ("stem", 3, 16, 7, 2, 3, 15, 16),
]


def values(seed, *shape):
    """(i * 7919 + seed * 104729) mod 257, minus 128, over 97 in float32."""
    count = torch.Size(shape).numel()
    numbers = (torch.arange(count, dtype=torch.int64) * 7919 + seed * 104729) % 257 - 128
    return (numbers.float() / 97).double().reshape(shape)


def gradients(run, inputs, seed):
    """The inputs' gradients in float64, and the largest share that float32 is off."""
    answers = []
    for dtype in (torch.float64, torch.float32):
        leaves = [tensor.to(dtype, copy=True).requires_grad_() for tensor in inputs]
        out = run(*leaves)
        out.backward(values(seed, *out.shape).to(dtype))
        answers.append([leaf.grad.double() for leaf in leaves])
    exact, rounded = answers
    off = [((r - e).abs().max() / e.abs().max()).item() for e, r in zip(exact, rounded)]
    return [dict(values=[float(f"{v:.8g}") for v in e.flatten().tolist()[::7]], largest=e.abs().max().item(),
                 torch=float(f"{o:.2g}")) for e, o in zip(exact, off)]


def main():
    out = dict(convolutions=[])
    for name, inputs, outputs, kernel, stride, padding, height, width in CONVOLUTIONS:
        x, w = values(1, 1, inputs, height, width), values(2, outputs, inputs, kernel, kernel) / 8
        answers = gradients(
            lambda x, w: F.conv2d(x, w, stride=stride, padding=padding), [x, w], 3)
        out["convolutions"].append(dict(
            name=name, channels=[inputs, outputs], kernel=kernel, stride=stride, padding=padding,
            size=[height, width], gradients=answers))
    x, gamma, beta = values(1, 1, 24, 5, 7), values(2, 24), values(4, 24) / 16
    norm = gradients(lambda x, g, b: F.relu(F.group_norm(x, 6, g, b, 1e-5)), [x, gamma, beta], 3)
    out["group_norm_relu"] = norm
    out["max_pool"] = gradients(lambda x: F.max_pool2d(x, 3, 2, 1), [values(1, 1, 17, 9, 12)], 3)
    out["upsample"] = gradients(
        lambda x: F.interpolate(x, size=(9, 14), mode="nearest"), [values(1, 1, 17, 4, 7)], 3)
    out["relu"] = gradients(F.relu, [values(1, 1, 300)], 3)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(out, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
