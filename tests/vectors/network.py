"""A RetinaNet in NumPy: from pixels to detections, stage by stage, in the order that docs/numerics.md gives."""

import math

import numpy as np

from floats import exp, f32, fma, sigmoid

BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
# Winograd's F(4x4, 3x3) over 0, 1, -1, 2, -1/2 and infinity: three taps along one axis to six points.
G = [
    [1.0, 0.0, 0.0],
    [-1.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0],
    [1.0 / 3.0, -1.0 / 3.0, 1.0 / 3.0],
    [1.0 / 15.0, 2.0 / 15.0, 4.0 / 15.0],
    [-16.0 / 15.0, 8.0 / 15.0, -4.0 / 15.0],
    [0.0, 0.0, 1.0],
]


def own_config(model):
    """The library's own form of a configuration is the one used here."""
    return model


def torchvision_config(config):
    """The form in which the bundled checkpoint describes itself."""
    backbone, head = config["backbone"], config["head"]
    norm = {"groups": head["group_norm_groups"], "eps": head["group_norm_eps"]} if head["norm"] else None
    from_pyramid = config["fpn"]["extra_levels_in"].startswith("last_pyramid_feature")
    return {
        "backbone": {
            "depth": backbone["depth"],
            "returned_layers": [int(stage.removeprefix("layer")) for stage in backbone["returned_stages"]],
            "batch_norm": {"eps": backbone["norm_eps"]},
        },
        "fpn": {"extra_levels": "p6_p7_from_pyramid" if from_pyramid else "p6_p7_from_backbone"},
        "head": {"num_convs": head["num_convs"], "group_norm": norm},
        "postprocess": config["postprocess"] | {"box_coder_weights": head["box_coder_weights"]},
        **{key: config[key] for key in ("anchors", "num_classes", "categories", "transform")},
    }


def relu(x):
    return np.where(x < 0, f32(0), x)


# -- the input


def axis(source, resized):
    """First and second source index and the weight of each, for every output position."""
    scale = f32(source) / f32(resized)
    centre = (np.arange(resized, dtype=f32) + f32(0.5)) * scale - f32(0.5)
    centre = np.where(centre < 0, f32(0), centre)
    first = np.minimum(centre.astype(np.int64), source - 1)
    second = np.minimum(first + 1, source - 1)
    weight = centre - first.astype(f32)
    weight = np.where(weight > 1, f32(1), weight)
    return first, second, f32(1) - weight, weight


def network_input(pixels, transform):
    """The canvas (3, height, width), and the size that the picture has on it."""
    height, width = pixels.shape[:2]
    assert transform.get("fixed_size") is None
    scale = min(transform["min_size"] / min(height, width), transform["max_size"] / max(height, width))
    resized = [math.floor(side * scale) for side in (height, width)]
    multiple = transform.get("size_divisible", 32)
    canvas = np.zeros([3] + [-(-side // multiple) * multiple for side in resized], f32)
    mean, std = (np.array(transform[key], f32) for key in ("image_mean", "image_std"))
    values = ((pixels.astype(f32) / f32(255) - mean) / std).transpose(2, 0, 1)
    y0, y1, wy0, wy1 = axis(height, resized[0])
    x0, x1, wx0, wx1 = axis(width, resized[1])
    across = values[:, :, x0] * wx0 + values[:, :, x1] * wx1
    canvas[:, : resized[0], : resized[1]] = across[:, y0] * wy0[:, None] + across[:, y1] * wy1[:, None]
    return canvas, resized


# -- convolutions


def padded(x, before, after):
    return np.pad(x, ((0, 0), (before, after[0]), (before, after[1])))


def direct(x, weight, stride, padding):
    """One chain an output over (input channel, row, column of the kernel)."""
    outputs, inputs, kernel, _ = weight.shape
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[1:])
    x = padded(x, padding, (padding, padding))
    total = np.zeros((outputs, height, width), f32)
    for channel in range(inputs):
        for ky in range(kernel):
            for kx in range(kernel):
                taps = x[channel, ky:, kx:][: (height - 1) * stride + 1 : stride, : (width - 1) * stride + 1 : stride]
                total = fma(taps[None], weight[:, channel, ky, kx, None, None], total)
    return total


def transformed_weights(weight):
    """(36, outputs, inputs): along y, then along x, in f64, rounded once."""
    k = weight.astype(np.float64)

    def dot(g, a, b, c):
        return (g[0] * a + g[1] * b) + g[2] * c

    columns = [[dot(g, k[..., 0, x], k[..., 1, x], k[..., 2, x]) for x in range(3)] for g in G]
    return np.stack([dot(g, *columns[i]).astype(f32) for i in range(6) for g in G])


def input_1d(d):
    t, u = d[1] - d[3], d[4] - d[2]
    return [
        fma(f32(1.5), t, fma(f32(-2), d[2], d[0] + d[4])),
        fma(f32(-0.5), d[3], fma(f32(-2.5), d[2], d[4] - d[1])),
        fma(f32(-2.5), d[3], fma(f32(0.5), d[2], d[4] + d[1])),
        fma(f32(-0.5), t, u),
        fma(f32(2), t, u),
        fma(f32(-1.5), u, fma(f32(-2), d[3], d[1] + d[5])),
    ]


def output_1d(m):
    total, difference = m[1] + m[2], m[1] - m[2]
    return [
        ((m[0] + total) + m[3]) + m[4],
        fma(f32(-0.5), m[4], fma(f32(2), m[3], difference)),
        fma(f32(0.25), m[4], fma(f32(4), m[3], total)),
        fma(f32(-0.125), m[4], fma(f32(8), m[3], difference)) + m[5],
    ]


def two_axes(step, square):
    """`step` along y, then along x, of a square of arrays."""
    columns = [step([row[x] for row in square]) for x in range(6)]
    return [step([column[y] for column in columns]) for y in range(len(columns[0]))]


def winograd(x, weight):
    """Tiles of 4 x 4 outputs from (0, 0) on; per point one chain over the input channels."""
    channels, height, width = x.shape
    down, across = -(-height // 4), -(-width // 4)
    x = padded(x, 1, (4 * down - height + 1, 4 * across - width + 1))
    patch = [[x[:, i : i + 4 * down : 4, j : j + 4 * across : 4] for j in range(6)] for i in range(6)]
    points = np.stack([point for row in two_axes(input_1d, patch) for point in row]).reshape(36, channels, 1, -1)
    weights = transformed_weights(weight)[..., None]
    sums = np.zeros((36, weight.shape[0], points.shape[-1]), f32)
    for channel in range(channels):
        sums = fma(points[:, channel], weights[:, :, channel], sums)
    tiles = two_axes(output_1d, sums.reshape(6, 6, *sums.shape[1:]))
    out = np.stack([np.stack(row) for row in tiles]).reshape(4, 4, -1, down, across)
    return out.transpose(2, 3, 0, 4, 1).reshape(-1, 4 * down, 4 * across)[:, :height, :width]


def conv(x, weight, bias=None, stride=1, residual=None, then_relu=False):
    outputs, inputs, kernel, _ = weight.shape
    if kernel == 3 and stride == 1 and inputs >= 16 and outputs >= 16:
        y = winograd(x, weight)
    else:
        y = direct(x, weight, stride, kernel // 2)
    if bias is not None:
        y = y + bias[:, None, None]
    if residual is not None:
        y = y + residual
    return relu(y) if then_relu else y


# -- other layers


def max_pool(x):
    height, width = ((side - 1) // 2 + 1 for side in x.shape[1:])
    x = np.pad(x, ((0, 0), (1, 2), (1, 2)), constant_values=-np.inf)
    best = np.full((x.shape[0], height, width), -np.inf, f32)
    for ky in range(3):
        for kx in range(3):
            value = x[:, ky : ky + 2 * height : 2, kx : kx + 2 * width : 2]
            best = np.where((value > best) | np.isnan(value), value, best)
    return best


def upsample_add(coarse, fine):
    index = []
    for source, target in zip(coarse.shape[1:], fine.shape[1:]):
        scale = f32(source) / f32(target)
        index.append(np.minimum((np.arange(target, dtype=f32) * scale).astype(np.int64), source - 1))
    return fine + coarse[:, index[0][:, None], index[1]]


def group_sum(x, groups, step):
    """The sum of (channels, pixels) over each group, in runs of 256 pixels and four partial sums."""
    channels = np.zeros(len(x), f32)
    for start in range(0, x.shape[1], 256):
        s = np.zeros((len(x), 4), f32)
        for at in range(start, min(start + 256, x.shape[1]), 4):
            part = x[:, at : at + 4]
            s[:, : part.shape[1]] = step(s[:, : part.shape[1]], part)
        channels = channels + ((s[:, 0] + s[:, 2]) + (s[:, 1] + s[:, 3]))
    total = np.zeros(groups, f32)
    for channel in channels.reshape(groups, -1).T:
        total = total + channel
    return total


def group_norm_relu(x, gamma, beta, groups, eps):
    shape = x.shape
    x = x.reshape(shape[0], -1)
    each = shape[0] // groups

    def plain(s, part):
        return s + part

    n = f32(each * x.shape[1])
    mean = group_sum(x, groups, plain) / n
    d = x - np.repeat(mean, each)[:, None]
    centred = group_sum(d, groups, plain)
    rest = centred / n
    square = group_sum(d, groups, lambda s, part: fma(part, part, s))
    variance = (square - centred * rest) / n
    variance = np.where(variance < 0, f32(0), variance)
    scale = gamma * np.repeat(f32(1) / np.sqrt(variance + f32(eps)), each)
    shift = fma(-np.repeat(rest, each), scale, beta)
    return relu(fma(d, scale[:, None], shift[:, None])).reshape(shape)


# -- the network


class Layers:
    """A network's tensors, and its convolutions by name."""

    def __init__(self, tensors, eps):
        self.tensors, self.eps = tensors, eps

    def normed(self, x, name, norm, **how):
        """A convolution with the batch norm after it folded in: in f64, rounded once."""
        weight, gamma, beta, mean, variance = (
            self.tensors[f"{key}"].astype(np.float64)
            for key in (f"{name}.weight", *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")))
        )
        scale = gamma / np.sqrt(variance + self.eps)
        return conv(x, (weight * scale[:, None, None, None]).astype(f32), (beta - mean * scale).astype(f32), **how)

    def plain(self, x, name, **how):
        return conv(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), **how)

    def block(self, x, path, stride):
        shortcut = x
        if f"{path}.downsample.0.weight" in self.tensors:
            shortcut = self.normed(x, f"{path}.downsample.0", f"{path}.downsample.1", stride=stride)
        last = 3 if f"{path}.conv3.weight" in self.tensors else 2
        for number in range(1, last + 1):
            # The stride is on the block's first 3 x 3 convolution.
            how = {"stride": stride if number == last - 1 else 1, "then_relu": True}
            how |= {"residual": shortcut} if number == last else {}
            x = self.normed(x, f"{path}.conv{number}", f"{path}.bn{number}", **how)
        return x

    def head(self, x, path, output, config):
        for number in range(config["num_convs"]):
            norm = config["group_norm"]
            x = self.plain(x, f"{path}.conv.{number}.0", then_relu=norm is None)
            if norm is not None:
                gamma, beta = (self.tensors[f"{path}.conv.{number}.1.{part}"] for part in ("weight", "bias"))
                x = group_norm_relu(x, gamma, beta, norm["groups"], norm["eps"])
        return self.plain(x, f"{path}.{output}")


def stages(pixels, tensors, config):
    """Yields (stage, values) in the order of a trace."""
    yield "decoded", pixels
    canvas, resized = network_input(pixels, config["transform"])
    yield "input", canvas
    backbone = config["backbone"]
    layers = Layers(tensors, backbone["batch_norm"]["eps"])
    x = max_pool(layers.normed(canvas, "backbone.body.conv1", "backbone.body.bn1", stride=2, then_relu=True))
    maps = {}
    for layer in range(1, max(backbone["returned_layers"]) + 1):
        for number in range(BLOCKS[backbone["depth"]][layer - 1]):
            stride = 2 if number == 0 and layer > 1 else 1
            x = layers.block(x, f"backbone.body.layer{layer}.{number}", stride)
        if layer in backbone["returned_layers"]:
            maps[layer + 1] = x
            yield f"C{layer + 1}", x

    levels, merged = {}, None
    for at, level in reversed(list(enumerate(maps))):
        inner = layers.plain(maps[level], f"backbone.fpn.inner_blocks.{at}.0")
        merged = inner if merged is None else upsample_add(merged, inner)
        levels[level] = layers.plain(merged, f"backbone.fpn.layer_blocks.{at}.0")
    top = max(levels)
    start = levels[top] if config["fpn"]["extra_levels"] == "p6_p7_from_pyramid" else maps[top]
    levels[top + 1] = layers.plain(start, "backbone.fpn.extra_blocks.p6", stride=2)
    levels[top + 2] = layers.plain(relu(levels[top + 1]), "backbone.fpn.extra_blocks.p7", stride=2)
    levels = dict(sorted(levels.items()))
    for level, x in levels.items():
        yield f"P{level}", x

    logits = [layers.head(x, "head.classification_head", "cls_logits", config["head"]) for x in levels.values()]
    yield from ((f"logits/P{level}", x) for level, x in zip(levels, logits))
    regression = [layers.head(x, "head.regression_head", "bbox_reg", config["head"]) for x in levels.values()]
    yield from ((f"regression/P{level}", x) for level, x in zip(levels, regression))
    yield "detections", detections(logits, regression, canvas.shape[1:], resized, pixels.shape[:2], config)


# -- from maps to boxes


def anchors(sizes, ratios, grid, canvas):
    """(locations * anchors, 4): row by row, then anchor by anchor; of those the ratio first, then the size."""
    root = np.sqrt(np.array(ratios, f32))
    sizes = np.array(sizes, f32)
    w = ((f32(1) / root)[:, None] * sizes).reshape(-1)
    h = (root[:, None] * sizes).reshape(-1)
    cells = np.rint(np.stack([-w, -h, w, h], 1) / f32(2))
    y, x = np.mgrid[: grid[0], : grid[1]]
    x, y = (x * (canvas[1] // grid[1])).astype(f32), (y * (canvas[0] // grid[0])).astype(f32)
    corners = np.stack([x, y, x, y], -1).reshape(-1, 1, 4)
    return (corners + cells).reshape(-1, 4)


def decoded(offsets, anchor, weights, resized):
    size = anchor[:, 2:] - anchor[:, :2]
    centre = anchor[:, :2] + f32(0.5) * size
    offsets = offsets / np.array(weights, f32)
    limit = f32(4.135166556742356)
    growth = np.where(offsets[:, 2:] > limit, limit, offsets[:, 2:])
    middle = offsets[:, :2] * size + centre
    half = f32(0.5) * (exp(growth) * size)
    boxes = np.concatenate([middle - half, middle + half], 1)
    edge = np.array([resized[1], resized[0]] * 2, f32)
    return np.where(boxes < 0, f32(0), np.where(boxes > edge, edge, boxes))


def overlap(a, b):
    """Intersection over union of one box with many."""
    low, high = np.where(a[:2] < b[:, :2], b[:, :2], a[:2]), np.where(b[:, 2:] < a[2:], b[:, 2:], a[2:])
    side = np.where(f32(0) < high - low, high - low, f32(0))
    both = side[:, 0] * side[:, 1]

    def area(box):
        return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])

    with np.errstate(divide="ignore"):
        return both / (area(b) + area(a) - both)


def detections(logits, regression, canvas, resized, original, config):
    how, classes = config["postprocess"], config["num_classes"]
    found = []
    for level, (scores, offsets) in enumerate(zip(logits, regression)):
        grid = scores.shape[1:]
        scores = sigmoid(scores.transpose(1, 2, 0).reshape(-1))
        (above,) = np.nonzero(scores > f32(how["score_thresh"]))
        best = above[np.lexsort((above, -scores[above]))][: how["topk_candidates"]]
        boxes = anchors(config["anchors"]["sizes"][level], config["anchors"]["aspect_ratios"][level], grid, canvas)
        offsets = offsets.transpose(1, 2, 0).reshape(-1, 4)
        boxes = decoded(offsets[best // classes], boxes[best // classes], how["box_coder_weights"], resized)
        found += [(-scores[i], level, i, i % classes, box) for i, box in zip(best, boxes)]
    kept = []
    for one in sorted(found, key=lambda one: one[:3]):
        if len(kept) == how["detections_per_img"]:
            break
        rivals = np.array([other[4] for other in kept if other[3] == one[3]], f32).reshape(-1, 4)
        if not (overlap(one[4], rivals).astype(np.float64) > how["nms_thresh"]).any():
            kept.append(one)
    ratio = np.array([f32(original[1]) / f32(resized[1]), f32(original[0]) / f32(resized[0])] * 2, f32)
    names = config["categories"]
    return [(int(label), names[label], [-score, *(box * ratio)]) for score, _, _, label, box in kept]
