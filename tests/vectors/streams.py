"""The random streams, and the weights drawn from them."""

import hashlib
import math
import struct

import numpy as np

M64 = (1 << 64) - 1


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def philox(counter, key):
    """Philox4x32-10: four words for each of many counters, given as four arrays of u64 below 2^32."""
    low = np.uint64(0xFFFFFFFF)
    c, k = list(counter), [np.uint64(word) for word in key]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        shift = np.uint64(32)
        c = [(b >> shift) ^ c[1] ^ k[0], b & low, (a >> shift) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, 1).reshape(-1)


class Stream:
    def __init__(self, seed, purpose, name, index):
        data = text("retinanet-stream-v1") + struct.pack("<Q", seed) + text(purpose) + text(name) + struct.pack("<Q", index)
        words = struct.unpack("<8I", hashlib.sha256(data).digest())
        self.key, self.upper, self.at = words[:2], words[2:4], 0

    def words(self, count):
        """The next words."""
        first, last = self.at // 4, (self.at + count + 3) // 4
        blocks = np.arange(first, last, dtype=np.uint64)
        upper = [np.full_like(blocks, word) for word in self.upper]
        counter = [blocks & np.uint64(0xFFFFFFFF), blocks >> np.uint64(32), *upper]
        words = philox(counter, self.key)[self.at - 4 * first :][:count]
        self.at += count
        return words

    def u64(self):
        low, high = (int(word) for word in self.words(2))
        return low | high << 32

    def uniform_f32(self, count):
        return (self.words(count) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)

    def uniform_f64(self):
        return (self.u64() >> 11) * 2.0**-53

    def normal_f64(self):
        return quantile(((self.u64() >> 12) + 0.5) * 2.0**-52)

    def below(self, n):
        while True:
            product = self.u64() * n
            if product & M64 >= (1 << 64) % n:
                return product >> 64

    def shuffled(self, n):
        items = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items

    def sample(self, population, count):
        items = list(range(population))
        for i in range(count):
            j = i + self.below(population - i)
            items[i], items[j] = items[j], items[i]
        return items[:count]


def ln(x):
    """Of a positive normal number, from +, -, * and / only."""
    mantissa, exponent = math.frexp(x)
    m, exponent = 2 * mantissa, exponent - 1
    if m > math.sqrt(2):
        m, exponent = m / 2, exponent + 1
    s = (m - 1) / (m + 1)
    s2 = s * s
    series = 1 / 23
    for n in range(10, -1, -1):
        series = series * s2 + 1 / (2 * n + 1)
    return exponent * 6.931471803691238e-1 + (exponent * 1.9082149292705877e-10 + 2 * s * series)


def polynomial(x, coefficients):
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


# Wichura's PPND16: numerators and denominators, highest power first.
CENTRE = (
    [2.5090809287301227e3, 3.343057558358813e4, 6.726577092700870e4, 4.592195393154987e4,
     1.373169376550946e4, 1.9715909503065514e3, 1.331416678917843774e2, 3.3871328727963666080],
    [5.226495278852854561e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0],
)  # fmt: skip
MIDDLE = (
    [7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
     3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734],
    [1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0],
)  # fmt: skip
FAR = (
    [2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720],
    [2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0],
)  # fmt: skip


def quantile(p):
    q = p - 0.5
    if -0.425 <= q <= 0.425:
        r = 0.180625 - q * q
        return q * polynomial(r, CENTRE[0]) / polynomial(r, CENTRE[1])
    r = math.sqrt(-ln(p if q < 0 else 1 - p))
    shift, (above, below) = (1.6, MIDDLE) if r <= 5 else (5.0, FAR)
    x = polynomial(r - shift, above) / polynomial(r - shift, below)
    return -x if q < 0 else x


def tensor(seed, name, shape):
    """The values of a network's tensor in the vectors."""
    if len(shape) == 4:
        fan, s = shape[1] * shape[2] * shape[3], 0
        while 6 * 4**s < fan:
            s += 1
        centre, spread = 0.0, 2.0 ** -(s + (6 if "cls_logits" in name or "bbox_reg" in name else 0))
    elif name.endswith(("weight", "running_var")):
        centre, spread = 1.0, 0.25
    else:
        centre, spread = 0.0, 0.125
    u = Stream(seed, "test-data", name, 0).uniform_f32(math.prod(shape))
    one = np.float32(1)
    values = np.float32(centre) + np.float32(spread) * (np.float32(2) * u - one)
    return values.reshape(shape)
