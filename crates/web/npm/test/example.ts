// What a user of the types writes; compiled with tsc --strict, and run by Node.
import { readFile } from "node:fs/promises";
import { load } from "retinanet-detector";
import type { Detection, Found, LoadOptions } from "retinanet-detector";

const assets: string = process.argv[2] ?? ".";
const published = "3e64663b9864d42758bd76b1f2b3469d2771e513bd6199366d6e80de2ab288c5";
const options: LoadOptions[] = [{ module: "simd" }, {}];
if (process.argv[3] === "relaxed") options.push({ module: "relaxed" });

const weights: Uint8Array = await readFile(`${assets}/person_r18.safetensors`);
const photo: Uint8Array = await readFile(`${assets}/astronaut.png`);
for (const option of options) {
    const detector = await load(weights, "person_r18.safetensors", option);
    const start = process.cpuUsage();
    const found: Found = detector.detect(photo, "astronaut.png");
    const { user, system } = process.cpuUsage(start);
    const best: Detection | undefined = found.detections[0];
    if (found.digest !== published || best?.label !== "person" || best.box.length !== 4) {
        throw new Error(`${detector.level} answers ${found.digest}`);
    }
    const { same, report } = detector.verify(found.receipt, photo, "astronaut.png");
    if (!same) throw new Error(report);
    console.log(`${detector.level}: ${found.digest}, ${((user + system) / 1e6).toFixed(2)} s of CPU`);
    detector.free();
}
for (const [bytes, name] of [[photo, "photo.png"], [new Uint8Array(), "none.safetensors"]] as const) {
    const message = await load(bytes, name).then(() => "nothing was refused", (error: Error) => error.message);
    if (!message.includes(name)) throw new Error(`${message} does not name ${name}`);
}
// @ts-expect-error: there is no such module
await load(weights, "w", { module: "fast" }).then(() => { throw new Error("not refused"); }, (error: unknown) => {
    if (!(error instanceof RangeError)) throw error;
});
