// node compare.mjs MODULES TOOLS EXPORTED [ROUNDS]: the modules in the folders MODULES/simd and MODULES/relaxed, and ONNX Runtime
// Web from the folder TOOLS, in turn, one thread each, with the bundled checkpoint and photo. Prints a table of seconds, and
// of the CPU's seconds, which other programs on the machine disturb less.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const PUBLISHED = "3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5";
const [modules, tools, exported, rounds = "5"] = process.argv.slice(2);
const assets = new URL("../../../examples/assets/", import.meta.url);

function holds(condition, otherwise) {
    if (!condition) throw new Error(otherwise);
}

async function ours(name) {
    const folder = join(resolve(modules), name);
    const { default: init, Detector } = await import(pathToFileURL(join(folder, "retinanet_web.js")));
    await init({ module_or_path: await readFile(join(folder, "retinanet_web_bg.wasm")) });
    const weights = await readFile(new URL("person_r18.safetensors", assets));
    const detector = new Detector(weights, "person_r18.safetensors");
    const photo = await readFile(new URL("astronaut.png", assets));
    const run = () => {
        const { digest } = JSON.parse(detector.detect(photo, "astronaut.png"));
        holds(digest === PUBLISHED, `${name} answers ${digest}`);
    };
    return [`retinanet ${name} (${detector.level}), from the PNG to boxes and digest`, run];
}

async function onnxRuntime() {
    const path = createRequire(join(resolve(tools), "x")).resolve("onnxruntime-web");
    const { default: ort } = await import(pathToFileURL(path));
    ort.env.wasm.numThreads = 1;
    const floats = async (name) => new Float32Array(new Uint8Array(await readFile(join(exported, name))).buffer);
    const shape = JSON.parse(await readFile(join(exported, "input.json"), "utf8"));
    const expected = await floats("logits.f32");
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
    const session = await ort.InferenceSession.create(new Uint8Array(await readFile(join(exported, "network.onnx"))), options);
    const input = new ort.Tensor("float32", await floats("input.f32"), shape);
    const run = async () => {
        const outputs = await session.run({ [session.inputNames[0]]: input });
        const logits = outputs[session.outputNames[0]].data;
        const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i])), 0);
        holds(logits.length === expected.length && worst < 1e-2, `ONNX Runtime's logits are ${worst} away`);
    };
    return [`ONNX Runtime Web ${ort.env.versions.web}, network alone`, run];
}

const engines = [await ours("simd"), await onnxRuntime()];
if (WebAssembly.validate(await readFile(join(modules, "relaxed", "retinanet_web_bg.wasm")))) {
    engines.push(await ours("relaxed"));
} else {
    console.log("this engine has no relaxed SIMD");
}
const seconds = engines.map(() => []);
const cpu = engines.map(() => []);
for (let round = -1; round < Number(rounds); round++) {
    for (const [i, [, run]] of engines.entries()) {
        const [start, busy] = [performance.now(), process.cpuUsage()];
        await run();
        const { user, system } = process.cpuUsage(busy);
        // The first round warms up.
        if (round < 0) continue;
        seconds[i].push((performance.now() - start) / 1000);
        cpu[i].push((user + system) / 1e6);
    }
}
console.log(`${process.release.name} ${process.version}, one thread, ${rounds} rounds in turn\n`);
console.log("| engine | least, s | median, s | least, s of CPU |\n|---|---|---|---|");
for (const [i, [name]] of engines.entries()) {
    const sorted = seconds[i].sort((a, b) => a - b);
    const columns = [sorted[0], sorted[sorted.length >> 1], Math.min(...cpu[i])];
    console.log(`| ${name} | ${columns.map((value) => value.toFixed(3)).join(" | ")} |`);
}
