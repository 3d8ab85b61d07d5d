// What the module must answer, in Node and in browsers alike.
import { configured, png, vast } from "./made.mjs";

const PUBLISHED = "3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5";

function equal(found, expected) {
    if (found !== expected) throw new Error(`found ${found}, expected ${expected}`);
}

function holds(condition, otherwise) {
    if (!condition) throw new Error(otherwise);
}

function refuses(call, words) {
    let message;
    try {
        call();
    } catch (error) {
        message = error.message;
    }
    holds(message !== undefined, `nothing was refused, expected ${words}`);
    holds(words.test(message), `${message} does not say ${words}`);
}

/** Runs all checks; `read` answers a bundled file's bytes. Throws at the first that fails. */
export async function checks(Detector, read, log) {
    const weights = await read("person_r18.safetensors");
    const photo = await read("astronaut.png");
    const check = (name, test) => {
        const start = performance.now();
        test();
        log(`${((performance.now() - start) / 1000).toFixed(2).padStart(8)} s  ${name}`);
    };
    let detector, found;
    check("the bundled checkpoint is read", () => {
        detector = new Detector(weights, "person_r18.safetensors");
        const about = JSON.parse(detector.describe());
        equal(about.name, "person_r18.safetensors");
        equal(about.sha256.length, 64);
    });
    log(`level ${detector.level}`);
    check("the bundled photo has the published digest", () => {
        found = JSON.parse(detector.detect(photo, "astronaut.png"));
        equal(found.digest, PUBLISHED);
        equal(found.stages.at(-1).digest, PUBLISHED);
        equal(found.detections[0].label, "person");
        equal(String(found.imageSize), "512,512");
    });
    check("its receipt names weights and photo, and holds", () => {
        const receipt = JSON.parse(found.receipt);
        equal(receipt.weights.given, "person_r18.safetensors");
        equal(receipt.image.path, "astronaut.png");
        equal(receipt.environment.cpu.architecture, "wasm32");
        const { same, report } = JSON.parse(detector.verify(found.receipt, photo, "astronaut.png"));
        holds(same, report);
    });
    check("an edited receipt does not hold", () => {
        const receipt = JSON.parse(found.receipt);
        receipt.detections.detections[0].score = 0.9999;
        const edited = JSON.stringify(receipt);
        const { same, report } = JSON.parse(detector.verify(edited, photo, "astronaut.png"));
        holds(!same && /edited/.test(report), report);
    });
    check("damaged files and files of another kind are refused by name", () => {
        refuses(() => detector.detect(photo.subarray(0, 5000), "cut.png"), /cut\.png/);
        refuses(() => detector.detect(new Uint8Array(), "none.png"), /none\.png.*empty/);
        refuses(() => detector.detect(weights.subarray(0, 999), "no.png"), /no\.png/);
        refuses(() => new Detector(photo, "photo.png"), /photo\.png.*it is an image/);
        refuses(() => detector.verify("{}", photo, "astronaut.png"), /no receipt/);
    });
    check("sizes that 32 bits cannot hold are refused, and so is what memory cannot", () => {
        for (const [name, file] of Object.entries(vast)) {
            refuses(() => detector.detect(file, name), new RegExp(`${name}.*(limit|damaged|not supported)`));
        }
        refuses(() => detector.detect(png(30_000, 20_000), "vast.png"), /30000 x 20000 .*limit of 50000000 pixels/);
        const withTransform = (transform) =>
            new Detector(configured(weights, (config) => Object.assign(config.transform, transform)), "made.safetensors");
        refuses(() => withTransform({ min_size: 2 ** 40 }), /made\.safetensors/);
        const sizes = [[5824, /no memory for \d+ more values/], [0xffffffff, /more than 67108864 pixels/]];
        for (const [size, words] of sizes) {
            const vaster = withTransform({ min_size: size, max_size: size });
            refuses(() => vaster.detect(photo, "astronaut.png"), words);
            vaster.free();
        }
    });
    check("after a refusal the answer is the same", () => {
        equal(JSON.parse(detector.detect(photo, "astronaut.png")).digest, PUBLISHED);
    });
}
