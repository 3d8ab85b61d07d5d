"""f32 arithmetic of the contract in NumPy: a fused multiply-add that rounds once, exp and sigmoid."""

import numpy as np

f32 = np.float32
ROUNDER = f32(12_582_912.0)
EXPONENT_ROUNDER = f32(12_582_912.0 + 127.0)
LOG2_E = f32(1.4426950408889634)
LN_2 = f32(0.6931471805599453)
LN_2_LOST = np.uint32(0xB102E308).view(f32)
TAIL = np.array([0x3E2AAAAA, 0x3D2AAA74, 0x3C088984, 0x3AB6A65D, 0x394F0478], np.uint32).view(f32)


def fma(a, b, c):
    """a * b + c rounded once.

    The product of two f32 is exact in f64. Their sum with c is rounded to odd there: where it is not exact, its last
    bit is set. 53 bits are more than twice 24 and 2, so that rounding it to f32 then gives what rounding the exact sum
    would (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    product = np.asarray(a, f32).astype(np.float64) * np.asarray(b, f32)
    c = np.asarray(c, f32).astype(np.float64)
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)
    words = np.atleast_1d(total).view(np.int64)
    lost, total = np.atleast_1d(lost), np.atleast_1d(total)
    even = (lost != 0) & (words & 1 == 0) & np.isfinite(total)
    toward = np.where((lost > 0) == (total > 0), 1, -1)
    odd = (words + np.where(even, toward, 0)).view(np.float64)
    return odd.astype(f32).reshape(product.shape if product.shape else (1,))


def exp(x):
    x = np.asarray(x, f32)
    x = np.where(x > f32(89), f32(89), x)
    x = np.where(x < f32(-104), f32(-104), x)
    n = (x * LOG2_E + ROUNDER) - ROUNDER
    near = fma(n, -LN_2, x)
    r = fma(n, -LN_2_LOST, near)
    lost = fma(n, -LN_2_LOST, near - r)
    p = np.full_like(x, TAIL[4])
    for coefficient in (*TAIL[3::-1], f32(0.5)):
        p = fma(p, r, coefficient)
    small = fma(r * r, p, lost)
    total = r + small
    total_lost = small - (total - r)
    y = f32(1) + total
    y_lost = total - (y - f32(1))
    y = y + (y_lost + total_lost)
    half = (n * f32(0.5) + ROUNDER) - ROUNDER
    return y * power_of_two(half) * power_of_two(n - half)


def power_of_two(n):
    return ((n + EXPONENT_ROUNDER).view(np.uint32) << np.uint32(23)).view(f32)


def sigmoid(x):
    return f32(1) / (f32(1) + exp(f32(0) - np.asarray(x, f32)))
