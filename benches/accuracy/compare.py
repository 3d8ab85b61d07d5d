"""The error against float64 of what the `accuracy` example wrote, beside PyTorch's own in float32.

    python compare.py OUTPUT.safetensors [--no-network]

Every row: rms and largest error over the standard deviation of the exact output (over each value itself
for exp and sigmoid). The fast mode is held against PyTorch's autocast to bfloat16. Needs torch, torchvision and safetensors, as ../peers/requirements.txt has them.
"""

import argparse
import copy
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
from weights import drawn, generator, v2  # noqa: E402

SIZE = (50, 68)


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def in_three_ways(function, *inputs):
    """The exact answer, PyTorch's in f32, and PyTorch's in f32 in channels_last."""
    exact = function(*[x.double() for x in inputs])
    return exact, function(*inputs), function(*[channels_last(x) for x in inputs])


def convolution(name, ours):
    inputs, outputs, kernel, stride = map(int, name.split("/")[2:])
    x = drawn("input.bias", (inputs * SIZE[0] * SIZE[1],)).clamp(min=0).mul(8).reshape(1, inputs, *SIZE)
    weight = drawn("conv.weight", (outputs, inputs, kernel, kernel))
    return in_three_ways(lambda x, w: functional.conv2d(x, w, stride=stride, padding=kernel // 2), x, weight)


def group_norm(name, ours):
    x = (drawn("group_norm.bias", (256 * SIZE[0] * SIZE[1],)) + 0.25).reshape(1, 256, *SIZE)
    gamma, beta = drawn("norm.weight", (256,)), drawn("norm.bias", (256,))
    return in_three_ways(lambda x, g, b: functional.group_norm(x, 32, g, b, 1e-5), x, gamma, beta)


def function(name, ours):
    x = drawn("function.bias", (100_000,)) * 128
    return in_three_ways(getattr(torch, name), x)


def resize(name, ours):
    picture = torch.from_numpy(generator.picture(3, 640, 480)).permute(2, 0, 1)[None]

    def transform(x):
        mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float32).to(x.dtype)[:, None, None]
        std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float32).to(x.dtype)[:, None, None]
        x = (x / 255 - mean) / std
        return functional.interpolate(x, size=(800, 1066), mode="bilinear", align_corners=False)

    return in_three_ways(transform, picture.float())


def network(answers):
    model = v2()

    def run(model, x):
        levels = list(model.backbone(x).values())
        head = model.head
        out = {}
        for kind, part, last in (
            ("logits", head.classification_head, "cls_logits"),
            ("regression", head.regression_head, "bbox_reg"),
        ):
            maps = [getattr(part, last)(part.conv(level)).double().flatten() for level in levels]
            out[kind] = torch.cat(maps)
        return out

    x = answers("network/input")
    exact = run(copy.deepcopy(model).double(), x.double())
    plain = run(model, x)
    last = run(model.to(memory_format=torch.channels_last), channels_last(x))
    with torch.autocast("cpu", torch.bfloat16):
        narrow = run(model, channels_last(x))

    def ours(mode, kind):
        return torch.cat([answers(f"{mode}/{kind}/{level}").double().flatten() for level in range(5)])

    strict = [(f"network, {kind}", ours("network", kind), exact[kind], plain[kind], last[kind]) for kind in exact]
    fast = [(f"network, {kind}", ours("fast", kind), exact[kind], narrow[kind]) for kind in exact]
    return strict, fast


def error(found, exact, relative):
    difference = found.double() - exact
    if relative:
        difference = difference / exact
    scale = 1.0 if relative else exact.std(correction=0).item()
    return difference.square().mean().sqrt().item() / scale, difference.abs().max().item() / scale


def row(name, ours, exact, *theirs, relative=False):
    """The last of theirs is what our rms is divided by."""
    errors = [error(x, exact, relative) for x in (ours, *theirs)]
    cells = " | ".join(f"{rms:.1e} | {largest:.1e}" for rms, largest in errors)
    ratio = errors[0][0] / errors[-1][0] if errors[-1][0] > 0 else float("nan")
    print(f"| {name} | {cells} | {ratio:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--no-network", action="store_true")
    args = parser.parse_args()
    with safe_open(args.output, "pt") as file, torch.inference_mode():
        print("| | ours rms | max | torch rms | max | channels_last rms | max | ours / channels_last (rms) |")
        print("|---|---|---|---|---|---|---|---|")
        names = sorted(file.keys(), key=lambda name: (name.split("/")[:2], [int(x) for x in name.split("/")[2:]]))
        for name in names:
            if name.startswith(("network", "fast")):
                continue
            kinds = {"conv": convolution, "group_norm": group_norm, "resize": resize}
            ours = file.get_tensor(name)
            exact, plain, last = kinds.get(name.split("/")[0], function)(name, ours)
            label = name
            if name.startswith("conv"):
                kind, inputs, outputs, kernel, stride = name.split("/")[1:]
                label = f"{kind} {inputs}->{outputs} {kernel}x{kernel}" + (" s2" if stride == "2" else "")
            shaped = ours.reshape(exact.shape)
            row(label, shaped, exact, plain, last, relative=name in ("exp", "sigmoid"))
        if not args.no_network:
            strict, fast = network(file.get_tensor)
            for answer in strict:
                row(*answer)
            print("\n| fast mode | ours rms | max | torch bf16 rms | max | ours / bf16 (rms) |")
            print("|---|---|---|---|---|---|")
            for answer in fast:
                row(*answer)


if __name__ == "__main__":
    main()
