// The detector, on a thread of its own, so that the page never waits. It is asked one thing at a time: `{ id, task, .. }`, and
// tells its steps (`{ id, step, amount }`) before its answer or error.

// One function, f32x4.relaxed_madd of its three arguments: valid where the browser has relaxed SIMD.
const RELAXED = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253,
    133, 2, 11,
]);
/** Pixels along the longer side of what the page draws. */
const LONGEST = 2048;

let module, detector;
/** What the program said before it stopped. */
let lastWords = [];
const toConsole = console.error;
console.error = (...words) => {
    lastWords.push(words.join(" "));
    toConsole(...words);
};

/** A file's content, told of as it comes. */
async function download(url, tell) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} is not there (status ${response.status}): the page's folder is not whole`);
    const all = Number(response.headers.get("Content-Length"));
    // The length is that of what is sent, which may be compressed.
    const known = all > 0 && !response.headers.get("Content-Encoding");
    const pieces = [];
    let size = 0;
    const reader = response.body.getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        pieces.push(value);
        size += value.length;
        tell(known ? size / all : undefined, size);
    }
    const content = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
        content.set(piece, at);
        at += piece.length;
    }
    return content;
}

async function start(tell) {
    if (module) return;
    // `?module=simd` after the page's address: as if the browser had no relaxed SIMD.
    const plain = new URLSearchParams(self.location.search).get("module") === "simd";
    const folder = !plain && WebAssembly.validate(RELAXED) ? "relaxed" : "simd";
    const code = await download(new URL(`${folder}/retinanet_web_bg.wasm`, import.meta.url), (share, bytes) =>
        tell("program", share, bytes));
    if (!WebAssembly.validate(code)) {
        throw new Error("this browser's WebAssembly lacks SIMD: use one from 2023 or later");
    }
    const loaded = await import(`./${folder}/retinanet_web.js`);
    await loaded.default({ module_or_path: code });
    module = loaded;
}

const tasks = {
    /** Bytes of one of the page's own files. */
    async fetch({ url }, tell) {
        return (await download(new URL(url, import.meta.url), (share, bytes) => tell("download", share, bytes))).buffer;
    },

    /** Weights: from now on they are used. Those before stay where these are refused. */
    async open({ weights, name }, tell) {
        await start(tell);
        tell("weights");
        const opened = new module.Detector(new Uint8Array(weights), name);
        detector?.free();
        detector = opened;
        return {
            ...JSON.parse(detector.describe()),
            level: detector.level,
            limits: JSON.parse(module.Detector.limits()),
            version: module.version(),
        };
    },

    /** The picture alone, made smaller if it is large. */
    async preview({ image, name }, tell) {
        tell("picture");
        const preview = module.Detector.preview(new Uint8Array(image), name, LONGEST);
        const { width, height, factor } = preview;
        const rgba = preview.rgba();
        preview.free();
        return { width, height, factor, pixels: new ImageData(new Uint8ClampedArray(rgba.buffer), Math.ceil(width / factor)) };
    },

    async detect({ image, name }, tell) {
        module.Detector.watch({ stage: (_, share) => tell(share < 1 ? "network" : "boxes", share) });
        tell("input");
        const before = performance.now();
        const answer = JSON.parse(detector.detect(new Uint8Array(image), name));
        return { ...answer, seconds: (performance.now() - before) / 1000 };
    },

    async verify({ receipt, image, name }, tell) {
        module.Detector.watch({ stage: (_, share) => tell(share < 1 ? "network" : "boxes", share) });
        tell("weights");
        return JSON.parse(detector.verify(receipt, new Uint8Array(image), name));
    },
};

self.onmessage = async ({ data: { id, task, ...given } }) => {
    const tell = (step, share, bytes) => self.postMessage({ id, step, share, bytes });
    lastWords = [];
    try {
        self.postMessage({ id, answer: await tasks[task](given, tell) });
    } catch (error) {
        // What WebAssembly traps on leaves the program in pieces.
        const stopped = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
        self.postMessage({ id, error: error.message, stopped, lastWords: lastWords.join("\n") });
    }
};
