// Which of the two modules this engine runs, and answers as objects.

const read = async (url) => {
    if (url.protocol === "file:") {
        const { readFile } = await import("node:fs/promises");
        return readFile(url);
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} answers ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
};

const modules = {
    relaxed: () => import("./relaxed/retinanet_web.js"),
    simd: () => import("./simd/retinanet_web.js"),
};
// No import.meta.url in a variable: bundlers look for this very form.
const binaries = {
    relaxed: () => new URL("./relaxed/retinanet_web_bg.wasm", import.meta.url),
    simd: () => new URL("./simd/retinanet_web_bg.wasm", import.meta.url),
};

// (module (func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd))
const RELAXED = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
    253, 133, 2, 11,
]);

export class Detector {
    #inner;

    constructor(inner) {
        this.#inner = inner;
    }

    get level() {
        return this.#inner.level;
    }

    describe() {
        return JSON.parse(this.#inner.describe());
    }

    detect(image, name) {
        return JSON.parse(this.#inner.detect(image, name));
    }

    verify(receipt, image, name) {
        return JSON.parse(this.#inner.verify(receipt, image, name));
    }

    free() {
        this.#inner.free();
    }
}

const started = {};

const start = (name) => {
    started[name] ??= (async () => {
        const [module, binary] = await Promise.all([modules[name](), read(binaries[name]())]);
        await module.default({ module_or_path: binary });
        return module;
    })();
    return started[name];
};

export async function load(weights, name, { module = "fastest" } = {}) {
    if (!["fastest", "simd", "relaxed"].includes(module)) {
        throw new RangeError(`no module is called ${module}; there are "fastest", "simd" and "relaxed"`);
    }
    const chosen = module === "fastest" ? (WebAssembly.validate(RELAXED) ? "relaxed" : "simd") : module;
    const { Detector: Inner } = await start(chosen);
    return new Detector(new Inner(weights, name));
}
