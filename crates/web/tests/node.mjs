// node node.mjs FOLDER: the checks, of the module in that folder, in Node.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { checks } from "./checks.mjs";

const folder = resolve(process.argv[2]);
const { default: init, Detector } = await import(pathToFileURL(join(folder, "retinanet_web.js")));
await init({ module_or_path: await readFile(join(folder, "retinanet_web_bg.wasm")) });
const assets = new URL("../../../examples/assets/", import.meta.url);
await checks(Detector, (name) => readFile(new URL(name, assets)), console.log);
