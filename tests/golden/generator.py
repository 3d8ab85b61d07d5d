"""Weights and pictures made of integers, so that Rust (../generator.rs) makes the same bits.

Nothing here rounds: every value is an integer of at most 24 bits times a power of two.
"""

from math import isqrt

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MASK = (1 << 64) - 1


def mix(z):
    """The finaliser of SplitMix64, over an array of uint64."""
    z = np.asarray(z, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key(seed, name):
    """A stream's key: FNV-1a of its name, under the seed."""
    fnv = 0xCBF29CE484222325
    for byte in name.encode():
        fnv = ((fnv ^ byte) * 0x100000001B3) & MASK
    return mix(np.uint64(fnv) ^ mix(np.uint64(seed)))


def words(stream, index):
    """The words of a stream at the given indices."""
    with np.errstate(over="ignore"):
        return mix(stream + (np.asarray(index, dtype=np.uint64) + np.uint64(1)) * GOLDEN)


def odd(stream, n):
    """n odd integers in -4095..=4095."""
    top = words(stream, np.arange(n, dtype=np.uint64)) >> np.uint64(52)
    return top.astype(np.int64) * 2 - 4095


def around(stream, n, centre, log2_spread):
    """n values in centre +- 2^log2_spread."""
    return (centre + odd(stream, n) * 2.0 ** (log2_spread - 12)).astype(np.float32)


def kaiming(stream, n, fan_in, log2_gain):
    """n values in +- sqrt(6 * 2^log2_gain / fan_in), the bound cut to 12 bits."""
    shift = 0
    while True:
        doubled = 6 << (2 * shift)
        doubled = doubled << log2_gain if log2_gain >= 0 else doubled >> -log2_gain
        bound = isqrt(doubled // fan_in)
        if bound >= 2048:
            break
        shift += 1
    return (odd(stream, n) * bound * 2.0 ** -(12 + shift)).astype(np.float32)


def tensor(seed, name, shape, lively):
    """The tensor of that name: convolutions as Kaiming would, norms near the identity."""
    stream = key(seed, name)
    n = int(np.prod(shape))
    if len(shape) == 4:
        log2_gain = 0
        if name.endswith("cls_logits.weight"):
            log2_gain = lively["log2_logits_gain"]
        elif name.endswith("bbox_reg.weight"):
            log2_gain = lively["log2_boxes_gain"]
        values = kaiming(stream, n, shape[1] * shape[2] * shape[3], log2_gain)
    elif name.endswith("running_var"):
        values = around(stream, n, 1.0, -2)
    elif name.endswith(lively["last_norm"] + ".weight"):
        values = around(stream, n, 0.25, -4)  # or the sum of sixteen residual blocks would blow up
    elif name.endswith("weight"):
        values = around(stream, n, 1.0, -2)
    else:
        values = around(stream, n, 0.0, -3)
    return values.reshape(shape)


def picture(seed, width, height):
    """An RGB picture (height, width, 3): lattice noise at four scales, linear in between."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    out = np.zeros((height, width, 3), dtype=np.int64)
    for channel in range(3):
        for log2_cell, weight in ((7, 5), (5, 5), (3, 4), (1, 2)):
            stream = key(seed, f"picture.{channel}.{log2_cell}")
            cell = 1 << log2_cell
            cx, cy, fx, fy = x >> log2_cell, y >> log2_cell, x & (cell - 1), y & (cell - 1)

            def lattice(cx, cy):
                return (words(stream, cy * 65536 + cx) >> np.uint64(56)).astype(np.int64)

            top = lattice(cx, cy) * (cell - fx) + lattice(cx + 1, cy) * fx
            bottom = lattice(cx, cy + 1) * (cell - fx) + lattice(cx + 1, cy + 1) * fx
            out[..., channel] += weight * ((top * (cell - fy) + bottom * fy) >> (2 * log2_cell))
    # Sums of noise crowd around the middle: stretch them about it.
    return np.clip((out // 16 - 128) * 2 + 128, 0, 255).astype(np.uint8)


def rolled(photo, width, height, dx, dy):
    """A photo stretched to a size by the nearest pixel, after moving it round by (dx, dy)."""
    h, w = photo.shape[:2]
    rows = (np.arange(height) * h // height + dy) % h
    columns = (np.arange(width) * w // width + dx) % w
    return np.ascontiguousarray(photo[rows][:, columns])


def places(seed, name, shape, n):
    """n places in a (channels, height, width) tensor, a quarter of them on its border."""
    channels, height, width = shape
    stream = key(seed, name)
    word = words(stream, np.arange(4 * n)).reshape(n, 4)
    c = (word[:, 0] % np.uint64(channels)).astype(np.int64)
    y = (word[:, 1] % np.uint64(height)).astype(np.int64)
    x = (word[:, 2] % np.uint64(width)).astype(np.int64)
    border = (word[:, 3] % np.uint64(16)).astype(np.int64)
    y = np.where(border == 0, 0, np.where(border == 1, height - 1, y))
    x = np.where(border == 2, 0, np.where(border == 3, width - 1, x))
    return (c * height + y) * width + x
