"""Makes small picture files of every kind that is read, but JPEG, and PIL's answer to each: `formats/`.

    python make_formats.py [--command ../../target/release/retinanet]

How the two are compared is said in `../parity/pixels.py`. `formats/pil.json` has the size and SHA-256 of PIL's pixels;
where the command's differ, the largest difference, the number of pixels that differ and the mean over all samples, and
PIL's pixels themselves in `formats/NAME.rgb`. `../library/formats.rs` holds the library to this table, and
docs/guarantees.md shows it.

needs pillow and numpy from PyPI. Not part of CI.
"""

import argparse
import hashlib
import io
import json
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, features

import generator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parity"))
from pixels import COMMAND, difference, ours, pil  # noqa: E402

FOLDER = HERE / "formats"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def rgb(width=21, height=17, seed=5):
    """A picture with edges and noise, so that no rounding goes unseen."""
    flat = generator.picture(seed, width, height).astype(np.int64)
    noise = (generator.words(generator.key(seed, "formats"), np.arange(flat.size)) >> np.uint64(59)).astype(np.int64)
    y, x = np.mgrid[:height, :width]
    edge = np.where((x // 5 + y // 4) % 2, 60, -60)[..., None]
    return np.clip(flat + edge + noise.reshape(flat.shape) - 16, 0, 255).astype(np.uint8)


def alpha(picture):
    """Alpha from 0 to 255, with whole stretches of both."""
    height, width = picture.shape[:2]
    ramp = np.linspace(-60, 315, height * width).reshape(height, width)
    return np.clip(ramp, 0, 255).astype(np.uint8)


def grey(picture):
    return np.asarray(Image.fromarray(picture).convert("L"))


def deep(picture):
    """16-bit samples whose low bytes matter to those who round."""
    low = (np.arange(picture.size) * 37 % 256).reshape(picture.shape)
    return picture.astype(np.uint16) * 256 + low.astype(np.uint16)


# -- PNG, of kinds that PIL does not write


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def packed(rows, depth):
    """Samples (height, width, channels) as a PNG's rows, each after its filter type 0."""
    out = b""
    for row in rows:
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = "".join(f"{value:0{depth}b}" for value in row.flatten())
            data = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
        out += b"\0" + data
    return out


def png(samples, colour, depth, interlaced=False, before=()):
    """A PNG of samples (height, width, channels); `before` has the chunks ahead of the pixels."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    if interlaced:
        passes = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7]
        data = b"".join(packed(part, depth) for part in passes if part.size)
    else:
        data = packed(samples, depth)
    chunks = [chunk(b"IHDR", header), *(chunk(*each) for each in before)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def oriented(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def tiff(samples, bits, photometric, sample_format=1, extra=None):
    """An uncompressed TIFF of one strip, of kinds that PIL does not write."""
    height, width, channels = samples.shape
    data = samples.astype({8: "<u1", 16: "<u2", 32: "<f4"}[bits]).tobytes()
    entries = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [1]), (262, 3, [photometric]),
        (273, 4, [8]), (277, 3, [channels]), (278, 4, [height]), (279, 4, [len(data)]),
        *([(338, 3, extra)] if extra else []), (339, 3, [sample_format] * channels),
    ]  # fmt: skip
    offset = 8 + len(data)
    at = offset + 2 + 12 * len(entries) + 4
    table, tail = struct.pack("<H", len(entries)), b""
    for tag, kind, values in entries:
        body = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(body) > 4:
            table += struct.pack("<HHII", tag, kind, len(values), at + len(tail))
            tail += body + b"\0" * (len(body) % 2)
        else:
            table += struct.pack("<HHI", tag, kind, len(values)) + body.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", offset) + data + table + b"\0" * 4 + tail


def bmp(rows, width, height, depth, compression=0, palette=b"", masks=b""):
    """A BMP of rows as they are stored, the lowest first."""
    offset = 54 + len(masks) + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(rows), 2835, 2835, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + masks + palette + rows


def of_16_bits(picture, bits):
    """Rows of a BMP with so many bits of red, green and blue."""
    r, g, b = (picture[::-1, :, channel].astype(np.uint16) >> (8 - bits[channel]) for channel in range(3))
    words = (r << (bits[1] + bits[2])) | (g << bits[2]) | b
    return b"".join(row.astype("<u2").tobytes() + b"\0" * (-2 * len(row) % 4) for row in words)


def run_lengths(rows):
    """RLE8 of rows of indices, the lowest first."""
    out = b""
    for row in rows:
        start = 0
        while start < len(row):
            end = start
            while end < len(row) and row[end] == row[start]:
                end += 1
            out += bytes([end - start, int(row[start])])
            start = end
        out += b"\0\0"
    return out + b"\0\1"


def with_larger_canvas(gif):
    """The GIF's one frame in the upper left of a canvas of 25 x 20 pixels."""
    return gif[:6] + struct.pack("<HH", 25, 20) + gif[10:]


def pngs():
    picture = rgb()
    image = Image.fromarray(picture)
    a = alpha(picture)[..., None]
    g = grey(picture)[..., None]
    palette = image.quantize(32, dither=Image.Dither.NONE)
    indices = np.asarray(palette)[..., None]
    colours = bytes(palette.getpalette()[: 3 * 32])
    yield "png_rgb8", saved(image, "PNG")
    yield "png_rgba8", png(np.concatenate([picture, a], 2), 6, 8)
    yield "png_grey8", png(g, 0, 8)
    yield "png_grey_alpha8", png(np.concatenate([g, a], 2), 4, 8)
    for depth in (1, 2, 4):
        yield f"png_grey{depth}", png(g >> (8 - depth), 0, depth)
    yield "png_grey16", png(deep(g), 0, 16)
    yield "png_rgb16", png(deep(picture), 2, 16)
    yield "png_grey_alpha16", png(deep(np.concatenate([g, a], 2)), 4, 16)
    yield "png_rgba16", png(deep(np.concatenate([picture, a], 2)), 6, 16)
    yield "png_palette8", png(indices, 3, 8, before=[(b"PLTE", colours)])
    yield "png_palette4", png(indices % 16, 3, 4, before=[(b"PLTE", colours[:48])])
    yield "png_palette1", png(indices % 2, 3, 1, before=[(b"PLTE", colours[:6])])
    yield "png_palette8_trns", png(indices, 3, 8, before=[(b"PLTE", colours), (b"tRNS", bytes(range(0, 256, 16)))])
    yield "png_palette8_one_clear", png(indices, 3, 8, before=[(b"PLTE", colours), (b"tRNS", b"\xff\xff\0")])
    yield "png_grey8_trns", png(g, 0, 8, before=[(b"tRNS", struct.pack(">H", int(g[3, 3, 0])))])
    clear = struct.pack(">HHH", *map(int, picture[3, 3]))
    yield "png_rgb8_trns", png(picture, 2, 8, before=[(b"tRNS", clear)])
    yield "png_rgb8_interlaced", png(picture, 2, 8, interlaced=True)
    yield "png_palette4_interlaced", png(indices % 16, 3, 4, interlaced=True, before=[(b"PLTE", colours[:48])])
    yield "png_rgb8_gamma", png(picture, 2, 8, before=[(b"gAMA", struct.pack(">I", 100000))])
    yield "png_rgb8_orientation6", saved(image, "PNG", exif=oriented(6))
    second = Image.fromarray(255 - picture)
    yield "png_animated", saved(image, "PNG", save_all=True, append_images=[second])


def webps():
    for quality, method, size in [(10, 4, (21, 17)), (75, 4, (21, 17)), (75, 0, (16, 16)), (95, 6, (37, 18)), (50, 6, (1, 9))]:
        image = Image.fromarray(rgb(*size))
        yield f"webp_lossy_q{quality}_{size[0]}x{size[1]}", saved(image, "WEBP", quality=quality, method=method)
    picture = rgb()
    image = Image.fromarray(picture)
    clear = Image.fromarray(np.concatenate([picture, alpha(picture)[..., None]], 2))
    yield "webp_lossy_alpha", saved(clear, "WEBP", quality=75)
    yield "webp_lossy_alpha_exact", saved(clear, "WEBP", quality=75, exact=True)
    yield "webp_lossless", saved(image, "WEBP", lossless=True)
    yield "webp_lossless_alpha", saved(clear, "WEBP", lossless=True)
    yield "webp_lossless_alpha_exact", saved(clear, "WEBP", lossless=True, exact=True)
    yield "webp_lossless_few_colours", saved(image.quantize(7).convert("RGB"), "WEBP", lossless=True)
    frames = [Image.fromarray(255 - picture)]
    yield "webp_animated_lossy", saved(image, "WEBP", save_all=True, append_images=frames, quality=75)
    yield "webp_animated_lossless", saved(image, "WEBP", save_all=True, append_images=frames, lossless=True)
    yield "webp_animated_alpha", saved(clear, "WEBP", save_all=True, append_images=frames, lossless=True, exact=True)
    yield "webp_lossy_orientation6", saved(image, "WEBP", quality=75, exif=oriented(6).tobytes())


def others():
    picture = rgb()
    image = Image.fromarray(picture)
    a = alpha(picture)[..., None]
    clear = Image.fromarray(np.concatenate([picture, a], 2))
    level = image.convert("L")
    palette = image.quantize(32, dither=Image.Dither.NONE)
    indices, colours = np.asarray(palette), bytes(palette.getpalette()[: 3 * 32])
    frames = [Image.fromarray(255 - picture).quantize(32)]
    yield "gif_palette", saved(palette, "GIF")
    yield "gif_not_interlaced", saved(palette, "GIF", interlace=0)
    yield "gif_transparent", saved(palette, "GIF", transparency=2)
    yield "gif_larger_canvas", with_larger_canvas(saved(palette, "GIF"))
    yield "gif_larger_canvas_transparent", with_larger_canvas(saved(palette, "GIF", transparency=2))
    yield "gif_animated", saved(palette, "GIF", save_all=True, append_images=frames, duration=50)
    yield "bmp_rgb24", saved(image, "BMP")
    yield "bmp_rgba32", saved(clear, "BMP")
    yield "bmp_grey8", saved(level, "BMP")
    yield "bmp_palette8", saved(palette, "BMP")
    entries = b"".join(colours[i : i + 3][::-1] + b"\0" for i in range(0, len(colours), 3))
    yield "bmp_rle8", bmp(run_lengths(indices[::-1]), 21, 17, 8, compression=1, palette=entries)
    nibbles = np.pad(indices[::-1] % 16, ((0, 0), (0, 3)))
    yield "bmp_palette4", bmp((nibbles[:, ::2] << 4 | nibbles[:, 1::2]).tobytes(), 21, 17, 4, palette=entries[:64])
    yield "bmp_rgb555", bmp(of_16_bits(picture, (5, 5, 5)), 21, 17, 16)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    yield "bmp_rgb565", bmp(of_16_bits(picture, (5, 6, 5)), 21, 17, 16, compression=3, masks=masks)
    yield "bmp_1bit", saved(level.convert("1"), "BMP")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"tiff_rgb8_{compression.removeprefix('tiff_')}", saved(image, "TIFF", compression=compression)
    yield "tiff_rgba8", saved(clear, "TIFF")
    yield "tiff_grey8", saved(level, "TIFF")
    yield "tiff_grey16", tiff(deep(grey(picture)[..., None]), 16, 1)
    yield "tiff_rgb16", tiff(deep(picture), 16, 2)
    yield "tiff_rgba16", tiff(deep(np.concatenate([picture, a], 2)), 16, 2, extra=[2])
    yield "tiff_grey_float", tiff(grey(picture)[..., None] / 255, 32, 1, sample_format=3)
    yield "tiff_palette8", saved(palette, "TIFF")
    yield "tiff_1bit", saved(level.convert("1"), "TIFF")
    yield "tiff_1bit_group4", saved(level.convert("1"), "TIFF", compression="group4")
    yield "tiff_cmyk8", saved(image.convert("CMYK"), "TIFF")
    yield "tiff_jpeg", saved(Image.fromarray(rgb(48, 32)), "TIFF", compression="jpeg", quality=75)
    yield "tiff_rgb8_orientation6", saved(image, "TIFF", exif=oriented(6))
    yield "ppm_rgb8", saved(image, "PPM")
    yield "pgm_grey8", saved(level, "PPM")
    yield "pbm_1bit", saved(level.convert("1"), "PPM")
    yield "ppm_rgb16", b"P6 21 17 65535\n" + deep(picture).astype(">u2").tobytes()
    yield "pgm_grey16", b"P5 21 17 65535\n" + deep(grey(picture)).astype(">u2").tobytes()
    yield "ppm_maxval_100", b"P6 21 17 100\n" + (picture // 3).tobytes()


def row_of(theirs, mine):
    """What `pil.json` says of one file."""
    row = difference(theirs, mine)
    if isinstance(theirs, str):
        return row
    return {"size": [theirs.shape[1], theirs.shape[0]], "sha256": hashlib.sha256(theirs.tobytes()).hexdigest()} | row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", type=Path, default=COMMAND)
    args = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    table = {}
    for name, content in [*pngs(), *webps(), *others()]:
        path = FOLDER / f"{name}.{name.split('_')[0]}"
        path.write_bytes(content)
        theirs, mine = pil(content), ours(args.command, path)
        row = table[path.name] = row_of(theirs, mine)
        if "largest" in row:
            (FOLDER / f"{path.name}.rgb").write_bytes(theirs.tobytes())
        told = "equal" if set(row) == {"size", "sha256"} else {k: v for k, v in row.items() if k != "sha256"}
        print(f"{path.name} ({len(content)} bytes): {told}" + (f"\n    {mine}" if isinstance(mine, str) else ""))
    versions = {"pillow": Image.__version__, "webp": features.version("webp"), "libtiff": features.version("libtiff")}
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in table.items())
    (FOLDER / "pil.json").write_text(f'{{"made_with":{json.dumps(versions)},\n"files":{{\n{lines}}}}}\n')
    print(f"{len(table)} files, {sum(set(row) == {'size', 'sha256'} for row in table.values())} equal")


if __name__ == "__main__":
    main()
