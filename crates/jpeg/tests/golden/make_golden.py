"""Writes the .jpg files beside this script, and pixels.txt: SHA-256 of PIL's RGB pixels, width, height and file.

    python crates/jpeg/tests/golden/make_golden.py

needs pillow and numpy from PyPI (made with Pillow 13.0.0, which has libjpeg-turbo 3.2.0) and the program cjpeg of
libjpeg-turbo (Debian's libjpeg-turbo-progs; 2.1.5). All pictures are computed here.
"""

import io
import pathlib
import random
import subprocess
import tempfile

import numpy as np
from compare_with_pil import pil
from PIL import Image

HERE = pathlib.Path(__file__).parent


def picture(width, height, channels=3, seed=0):
    """Gradients, shapes and noise, so that every edge of the image has detail."""
    rng = np.random.default_rng([width, height, channels, seed])
    y, x = np.mgrid[:height, :width].astype(float)
    planes = []
    for channel in range(channels):
        a, b, c = rng.uniform(0.05, 0.9, 3)
        plane = 128 + 60 * np.sin(a * x + channel) + 50 * np.cos(b * y) + 40 * np.sign(np.sin(c * (x - y) / 3))
        planes.append(plane + rng.normal(0, 12, (height, width)))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def cjpeg(name, width, height, *options, grey=False, scans=None):
    """Encodes with libjpeg-turbo's own program."""
    pixels = picture(width, height, 1 if grey else 3)
    head = f"P{5 if grey else 6} {width} {height} 255\n".encode()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans:
            script.write(scans)
            script.flush()
            options += ("-scans", script.name)
        out = subprocess.run(["cjpeg", *options], input=head + pixels.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return put(name, out)


def save(name, width, height, mode, **options):
    """Encodes with PIL."""
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    pixels = picture(width, height, channels)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode).save(file, "JPEG", **options)
    return put(name, file.getvalue())


def put(name, content):
    (HERE / f"{name}.jpg").write_bytes(content)
    return content


def segment_at(content, marker):
    at = 2
    while content[at + 1] != marker:
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return at


def without(content, marker):
    at = segment_at(content, marker)
    return content[:at] + content[at + 2 + int.from_bytes(content[at + 2 : at + 4]) :]


def changed(content, at, *values):
    return content[:at] + bytes(values) + content[at + len(values) :]


def dense_restarts(content):
    """Fill bytes before every marker and a comment between the segments."""
    at = segment_at(content, 0xDA)
    comment = b"\xff\xff\xff\xfe\x00\x05abc"
    return content[:at] + comment + b"\xff" + content[at:]


def main():
    for old in HERE.glob("*.jpg"):
        old.unlink()
    # Sampling, with sizes that leave every remainder.
    sizes = [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5), (5, 3), (7, 9), (8, 8), (15, 17), (16, 16), (17, 33), (31, 65), (67, 35), (100, 75), (129, 40), (37, 130)]
    samplings = {
        "444": "1x1,1x1,1x1", "422": "2x1,1x1,1x1", "420": "2x2,1x1,1x1", "440": "1x2,1x1,1x1", "411": "4x1,1x1,1x1",
        "410": "4x2,1x1,1x1", "441": "1x4,1x1,1x1", "311": "3x1,1x1,1x1", "131": "1x3,1x1,1x1", "332": "3x2,1x1,1x1",
        "mixed": "2x2,2x1,1x2", "mixed4": "4x1,2x1,1x1", "wide_chroma": "1x1,2x2,2x1", "luma_low": "1x1,2x1,1x2", "red_high": "1x2,2x2,1x1", "both4": "2x2,1x4,1x1",
        "same2": "2x1,2x1,2x1",
    }
    for index, (name, sampling) in enumerate(samplings.items()):
        for step in range(5):
            width, height = sizes[(index * 3 + step * 5) % len(sizes)]
            quality = [30, 75, 92, 100, 55][step]
            kind = [[], ["-progressive"], ["-restart", "1"], ["-optimize"], ["-progressive", "-restart", "3B"]][(index + step) % 5]
            cjpeg(f"{name}_{width}x{height}_q{quality}{''.join(kind)}", width, height, "-quality", str(quality), "-sample", sampling, *kind)
    for width, height in sizes:
        cjpeg(f"common_{width}x{height}", width, height, "-quality", "80", "-sample", "2x2")
        cjpeg(f"common_progressive_{width}x{height}", width, height, "-quality", "80", "-progressive", "-sample", "2x2")
        cjpeg(f"common422_{width}x{height}", width, height, "-quality", "80", "-sample", "2x1")
    # Grey, coarse and 16-bit tables, colours as they are.
    for width, height in [(1, 1), (13, 21), (40, 40)]:
        cjpeg(f"grey_{width}x{height}", width, height, "-quality", "85", grey=True)
        cjpeg(f"grey_progressive_{width}x{height}", width, height, "-progressive", grey=True)
    cjpeg("grey_2x2_21x37", 21, 37, "-sample", "2x2", grey=True)
    cjpeg("q1_16bit_tables_50x41", 50, 41, "-quality", "1")
    cjpeg("q5_16bit_tables_progressive_50x41", 50, 41, "-quality", "5", "-progressive")
    cjpeg("rgb_30x19", 30, 19, "-rgb", "-quality", "90")
    cjpeg("large_200x150", 200, 150, "-quality", "40", "-restart", "2")
    # Scans that cjpeg does not choose by itself.
    cjpeg("separate_scans_45x29", 45, 29, "-sample", "2x2", scans="0;\n1;\n2;\n")
    cjpeg("two_scans_45x29", 45, 29, "-sample", "2x1", scans="1 2;\n0;\n")
    cjpeg("separate_restarts_45x29", 45, 29, "-sample", "2x2", "-restart", "2B", scans="0;\n1 2;\n")
    deep = "0 1 2: 0-0, 0, 3;\n0 1 2: 0-0, 3, 2;\n0 1 2: 0-0, 2, 1;\n0 1 2: 0-0, 1, 0;\n"
    deep += "".join(f"{c}: 1-9, 0, 2;\n{c}: 10-63, 0, 3;\n{c}: 1-9, 2, 1;\n{c}: 1-9, 1, 0;\n{c}: 10-63, 3, 2;\n{c}: 10-63, 2, 1;\n{c}: 10-63, 1, 0;\n" for c in range(3))
    cjpeg("deep_progression_70x50", 70, 50, "-sample", "2x2", "-quality", "95", scans=deep)
    cjpeg("high_bands_missing_33x33", 33, 33, scans="0 1 2: 0-0, 0, 0;\n0: 1-20, 0, 0;\n1: 1-9, 0, 0;\n2: 1-9, 0, 0;\n")
    # Four components, as PIL writes them, and their variants by header.
    for index, (width, height) in enumerate([(1, 1), (19, 23), (64, 33)]):
        plain = save(f"cmyk_{width}x{height}", width, height, "CMYK", quality=[60, 85, 95][index], progressive=index == 1)
        adobe = segment_at(plain, 0xEE)
        put(f"ycck_{width}x{height}", changed(plain, adobe + 15, 2))
        put(f"cmyk_no_adobe_{width}x{height}", without(plain, 0xEE))
        put(f"four_transform_1_{width}x{height}", changed(plain, adobe + 15, 1))
    # What three components are: JFIF, Adobe, names.
    plain = save("three_jfif_20x20", 20, 20, "RGB", quality=90)
    bare = put("three_bare_20x20", without(plain, 0xE0))
    frame = segment_at(bare, 0xC0)
    scan = segment_at(bare, 0xDA)
    ids = bytearray(bare)
    for i, name in enumerate(b"RGB"):
        ids[frame + 10 + 3 * i] = name
        ids[scan + 5 + 2 * i] = name
    put("three_named_rgb_20x20", bytes(ids))
    put("three_named_rgb_jfif_20x20", plain[:20] + bytes(ids)[2:])
    for transform in (0, 1, 2):
        adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
        put(f"three_adobe_{transform}_20x20", bare[:2] + adobe + bare[2:])
        put(f"three_adobe_{transform}_jfif_20x20", plain[:20] + adobe + plain[20:])
    # Oddities: no Huffman tables, fill bytes, an extended frame, extreme coefficients, damage.
    put("standard_tables_left_out_20x20", plain[: segment_at(plain, 0xC4)] + plain[segment_at(plain, 0xDA) :])
    put("fill_bytes_20x20", dense_restarts(plain))
    put("extended_20x20", changed(plain, segment_at(plain, 0xC0) + 1, 0xC1))
    put("no_end_but_data_20x20", plain[:-2] + bytes(16))
    rng = random.Random(7)
    sources = {name: (HERE / f"{name}.jpg").read_bytes() for name in ("large_200x150", "common_100x75", "common_progressive_100x75", "deep_progression_70x50", "q1_16bit_tables_50x41", "grey_40x40")}
    for name, content in sources.items():
        for number in range(4):
            damaged = bytearray(content)
            first = segment_at(content, 0xDA) + 12
            for _ in range(3):
                damaged[rng.randrange(first, len(damaged) - 2)] = rng.randrange(256)
            put(f"damaged_{name}_{number}", bytes(damaged))
        # Tables of the largest factors drive the transform out of range.
        table = segment_at(content, 0xDB)
        for number, factor in enumerate([0xFF, 0x7F]):
            extreme = bytearray(content)
            end = table + 2 + int.from_bytes(content[table + 2 : table + 4])
            at = table + 4
            while at < end:
                wide = content[at] >> 4
                size = 128 if wide else 64
                extreme[at + 1 : at + 1 + size] = bytes([factor]) * size
                at += 1 + size
            put(f"extreme_{name}_{number}", bytes(extreme))
    lines = []
    for path in sorted(HERE.glob("*.jpg")):
        answer = pil(path.read_bytes())
        if answer is None:
            lines.append(f"refused - - {path.name}")
        else:
            lines.append(" ".join(map(str, answer)) + f" {path.name}")
    (HERE / "pixels.txt").write_text("\n".join(lines) + "\n")
    print(len(lines), "files,", sum(path.stat().st_size for path in HERE.iterdir()), "bytes")


if __name__ == "__main__":
    main()
