// Files that are made for a test: images whose headers claim sizes, and weights with another configuration.

const text = (words) => new TextEncoder().encode(words);

/** Bytes one after the other; a number is four bytes, the highest first. */
export function bytes(...parts) {
    const big = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
    return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? big(part) : [...part])));
}

const little = (number) => bytes(number).reverse();

function crc(content) {
    let remainder = ~0;
    for (const byte of content) {
        remainder ^= byte;
        for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
    }
    return ~remainder >>> 0;
}

/** A PNG file whose header claims so many pixels. */
export function png(width, height) {
    const chunk = (name, content) => bytes(content.length, text(name), content, crc(bytes(text(name), content)));
    const header = bytes(width, height, [8, 2, 0, 0, 0]);
    return bytes([137, 80, 78, 71, 13, 10, 26, 10], chunk("IHDR", header), chunk("IDAT", new Uint8Array(64)), chunk("IEND", []));
}

/** The starts of files of other formats, each of as many pixels as its header can claim. */
export const vast = {
    "vast.png": png(0x7fffffff, 0x7fffffff),
    "vast.bmp": bytes(text("BM"), little(1000), little(0), little(54), little(40), little(0x7fffffff), little(0x7fffffff),
        [1, 0, 24, 0], new Uint8Array(24), new Uint8Array(100)),
    "vast.gif": bytes(text("GIF89a"), [255, 255, 255, 255, 0x80, 0, 0, 0, 0, 0, 255, 255, 255], [0x2c, 0, 0, 0, 0, 255, 255, 255, 255, 0, 2, 2, 0x44, 1, 0, 0x3b]),
    "vast.ppm": text("P6\n4294967295 4294967295\n255\nabc"),
    "vast.jpg": bytes([255, 216, 255, 192, 0, 17, 8, 255, 255, 255, 255, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0],
        [255, 218, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0], [1, 2, 3, 255, 217]),
    "vast.webp": bytes(text("RIFF"), little(30), text("WEBPVP8X"), little(10), [0, 0, 0, 0, 255, 255, 255, 255, 255, 255], text("VP8 "), little(0)),
    "vast.tiff": bytes(text("II*\0"), little(8), [6, 0],
        [0, 1, 4, 0], little(1), little(0xffffffff), [1, 1, 4, 0], little(1), little(0xffffffff),
        [2, 1, 3, 0], little(1), little(8), [6, 1, 3, 0], little(1), little(1), [17, 1, 4, 0], little(1), little(8),
        [23, 1, 4, 0], little(1), little(100), little(0)),
};

/** A `.safetensors` file like that one, with the configuration in it changed. */
export function configured(weights, change) {
    const start = new DataView(weights.buffer, weights.byteOffset, 8);
    const length = Number(start.getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(weights.subarray(8, 8 + length)));
    const config = JSON.parse(header.__metadata__.config);
    change(config);
    header.__metadata__.config = JSON.stringify(config);
    const changed = text(JSON.stringify(header));
    const file = new Uint8Array(8 + changed.length + weights.length - 8 - length);
    new DataView(file.buffer).setBigUint64(0, BigInt(changed.length), true);
    file.set(changed, 8);
    file.set(weights.subarray(8 + length), 8 + changed.length);
    return file;
}
