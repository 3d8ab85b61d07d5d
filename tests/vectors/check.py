"""Checks the frozen vectors with a second implementation, written from docs/numerics.md and what it points to.

    tests/vectors/run.sh [--all] [tests/vectors/numerics-2.json]

It shares no code with the library: NumPy in place of Rust, an emulated fused multiply-add (`floats.py`) in place of the
processor's, one step of every chain at a time. `--all` adds the bundled checkpoint, which takes half
a minute or more. The exit status is 1 where anything differs; of a network, the first stage that parts is named.

`run.sh` fetches what this needs: numpy, and pillow for the pictures (whose pixels are PIL's, to the bit), both from PyPI.
"""

import argparse
import hashlib
import json
import struct
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import network
import streams
from floats import exp, fma, sigmoid

ROOT = Path(__file__).resolve().parents[2]


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def header(kind, name, shape):
    return text("retinanet-digest-v1") + text(kind) + text(name) + struct.pack(f"<Q{len(shape)}Q", len(shape), *shape)


def digest(kind, name, values):
    """The digest of an array of u8 or f32."""
    values = np.ascontiguousarray(values, {"u8": "u1", "f32": "<f4"}[kind])
    assert kind == "u8" or not np.isnan(values).any(), f"{name} holds a NaN"
    return hashlib.sha256(header(kind, name, values.shape) + values.tobytes()).hexdigest()


def digest_of_detections(image_size, detections):
    """detections: label id, label, and the five floats score, x1, y1, x2, y2 of each."""
    data = header("detections", "detections", [len(detections)]) + struct.pack("<2Q", *image_size)
    for label_id, label, floats in detections:
        data += struct.pack("<Q", label_id) + text(label) + np.asarray(floats, "<f4").tobytes()
    return hashlib.sha256(data).hexdigest()


def bits(values):
    """f32 values as they stand in the file."""
    return [f"{int(value):08x}" for value in np.asarray(values, np.float32).reshape(-1).view(np.uint32)]


def from_bits(digits):
    return np.array([int(each, 16) for each in digits], np.uint32).view(np.float32)


class Checks:
    """Counts, and remembers whether anything differed."""

    def __init__(self):
        self.equal = self.different = 0

    def __call__(self, what, found, expected):
        if found == expected:
            self.equal += 1
            return True
        self.different += 1
        print(f"DIFFERENT {what}: {found}, expected {expected}")
        return False


def check_digests(check, cases):
    for case in cases:
        if case["kind"] == "detections":
            rows = [(label_id, label, from_bits(floats)) for label_id, label, floats in case["detections"]]
            found = digest_of_detections(case["image_size"], rows)
        else:
            values = case["values"] if case["kind"] == "u8" else from_bits(case["values"])
            found = digest(case["kind"], case["name"], np.reshape(values, case["shape"]))
        check(f"digest of {case['kind']}", found, case["digest"])


def check_streams(check, cases):
    for case in cases:
        key = [case[part] for part in ("seed", "purpose", "name", "index")]

        def start():
            return streams.Stream(*key)

        def of(count, draw):
            return [draw() for _ in range(count)]

        check(f"{key}: words", [int(word) for word in start().words(6)], case["words"])
        check(f"{key}: uniform_f32", bits(start().uniform_f32(3)), case["uniform_f32"])
        for name, values in (("uniform_f64", of(3, start().uniform_f64)), ("normal_f64", of(4, start().normal_f64))):
            check(f"{key}: {name}", [struct.pack(">d", value).hex() for value in values], case[name])
        below = start().below
        check(f"{key}: range", of(8, lambda: below(10)), case["range_of_10"])
        check(f"{key}: shuffle", start().shuffled(10), case["shuffle_of_10"])
        check(f"{key}: sample", start().sample(100, 5), case["sample_of_100"])


def check_functions(check, cases):
    for a, b, c, result in cases["fma"]:
        check(f"fma({a}, {b}, {c})", bits(fma(*(from_bits([x]) for x in (a, b, c)))), [result])
    for name, function in (("exp", exp), ("sigmoid", sigmoid)):
        for x, result in cases[name]:
            check(f"{name}({x})", bits(function(from_bits([x]))), [result])


def tensors_of(weights):
    """Every tensor of a network, and its configuration."""
    if "drawn" in weights:
        seed = weights["drawn"]["seed"]
        tensors = {name: streams.tensor(seed, name, shape) for name, shape in weights["drawn"]["tensors"]}
        return tensors, network.own_config(weights["drawn"]["config"]["model"])
    data = (ROOT / weights["file"]["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == weights["file"]["sha256"], "another checkpoint"
    (length,) = struct.unpack("<Q", data[:8])
    table = json.loads(data[8 : 8 + length])
    config = json.loads(table.pop("__metadata__")["config"])
    tensors = {}
    for name, entry in table.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        kind = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}[entry["dtype"]]
        tensors[name] = np.frombuffer(data[start:end], kind).reshape(entry["shape"]).astype(np.float32)
    return tensors, network.torchvision_config(config)


def check_network(check, case):
    picture = (ROOT / case["picture"]).read_bytes()
    assert hashlib.sha256(picture).hexdigest() == case["picture_sha256"], "another picture"
    pixels = np.asarray(Image.open(ROOT / case["picture"]).convert("RGB"))
    tensors, config = tensors_of(case["weights"])
    expected = {stage["stage"]: stage for stage in case["stages"]}
    seen = []
    for stage, values in network.stages(pixels, tensors, config):
        if stage == "detections":
            shape, found = [len(values)], digest_of_detections(pixels.shape[:2], values)
        else:
            kind = "u8" if stage == "decoded" else "f32"
            values = values if kind == "u8" else values[None]
            shape, found = list(values.shape), digest(kind, stage, values)
        seen.append(stage)
        there = expected.get(stage, {})
        what = f"{case['name']}: the first stage that parts is {stage}"
        if not check(what, (shape, found), (there.get("shape"), there.get("digest"))):
            return
    check(f"{case['name']}: stages", seen, [stage["stage"] for stage in case["stages"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path(__file__).parent / "numerics-2.json")
    parser.add_argument("--all", action="store_true", help="also the bundled checkpoint")
    args = parser.parse_args()
    vectors = json.loads(args.file.read_text())
    check = Checks()
    check_digests(check, vectors["digests"])
    check_streams(check, vectors["streams"])
    check_functions(check, vectors["functions"])
    for case in vectors["networks"]:
        if "file" in case["weights"] and not args.all:
            print(f"{case['name']}: left out; --all checks it")
            continue
        start = time.time()
        check_network(check, case)
        print(f"{case['name']}: {time.time() - start:.0f} s", flush=True)
    print(f"numerics {vectors['numerics']}: {check.equal} equal, {check.different} different")
    return check.different > 0


if __name__ == "__main__":
    np.seterr(over="ignore", invalid="ignore")
    sys.exit(main())
