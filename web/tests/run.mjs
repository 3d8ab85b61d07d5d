// node run.mjs PAGE TOOLS COMMAND [BROWSER or RUN..]: opens the page of that folder in each browser, checks it, and prints a table. With
// SCREENSHOTS, pictures of it are left in that folder.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ARITHMETIC, FACTS } from "./facts.mjs";
import { screenshots } from "./screenshots.mjs";
import { serve } from "./site.mjs";
import { launch, Visitor } from "./visitor.mjs";

const [page, tools, command, ...only] = process.argv.slice(2);
const assets = new URL("../../examples/assets/", import.meta.url).pathname;
const root = new URL("../../", import.meta.url).pathname;

const RUNS = [
    { name: "chromium", title: "Chromium", level: "relaxed-simd", policy: true },
    // The CPU's fused instruction is kept from the browser: its relaxed multiply-add then rounds twice.
    { name: "chromium", title: "Chromium, not fused", level: "portable", args: ["--js-flags=--no-enable-fma3"], facts: ARITHMETIC },
    { name: "chromium", title: "Chromium, no relaxed SIMD", level: "portable", query: "?module=simd", facts: ARITHMETIC },
    { name: "firefox", title: "Firefox", level: /relaxed-simd|portable/, policy: true },
];

const files = {
    page,
    folder: mkdtempSync(join(tmpdir(), "retinanet-page-")),
    photoPath: join(assets, "astronaut.png"),
    weightsPath: join(assets, "person_r18.safetensors"),
    photo: readFileSync(join(assets, "astronaut.png")),
    weights: readFileSync(join(assets, "person_r18.safetensors")),
    published: /"([0-9a-f]{64})";/.exec(readFileSync(join(root, "examples/lib.rs"), "utf8"))[1],
    testdata: join(root, "crates/retinanet/src/image/testdata"),
    formats: join(root, "tests/golden/formats"),
};
const axe = readFileSync(join(tools, "node_modules/axe-core/axe.min.js"), "utf8");

const rows = [];
let failures = 0;
for (const { name, title, level, args = [], query = "", policy = false, facts } of RUNS) {
    if (only.length > 0 && !only.includes(name) && !only.includes(title)) continue;
    const site = await serve(page, policy);
    const browser = await launch(tools, name, args);
    const version = await browser.version();
    console.log(`--- ${title}: ${version}`);
    try {
        const visitor = await Visitor.at(browser, site.url + query);
        const given = { visitor, browser, name, url: site.url, files, command: resolve(command), axe };
        await visitor.idle();
        given.level = typeof level === "string" ? level : await visitor.page.$eval("#arithmetic", (element) => element.dataset.level);
        for (const [what, test] of FACTS) {
            if (facts && !facts.test(what)) continue;
            const before = performance.now();
            let failure;
            try {
                await test(given);
            } catch (error) {
                failure = error.message.split("\n")[0];
                failures += 1;
            }
            const seconds = ((performance.now() - before) / 1000).toFixed(1).padStart(6);
            console.log(`${failure === undefined ? "ok    " : "FAILED"} ${seconds} s  ${what}${failure === undefined ? "" : `\n       ${failure}`}`);
        }
        await visitor.click("#sample");
        const time = /^[\d.]+/.exec(await visitor.text("#seconds"))?.[0];
        const digest = await visitor.digest();
        rows.push([title, version, given.level === "relaxed-simd" ? "fused" : "emulated", `${time} s`, `${digest.slice(0, 8)}..`]);
        if (process.env.SCREENSHOTS && name === "chromium" && !facts) {
            mkdirSync(process.env.SCREENSHOTS, { recursive: true });
            await screenshots(visitor, process.env.SCREENSHOTS, files);
        }
    } finally {
        await browser.close();
        site.close();
    }
}
rmSync(files.folder, { recursive: true });

const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
console.log("\n" + rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ")).join("\n"));
console.log(failures === 0 ? "all is as it should be" : `${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
