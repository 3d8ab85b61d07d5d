// node browser.mjs SITE LEVEL TOOLS: the checks in Chromium, of the page in the folder SITE, where the kernels must be of
// that level; puppeteer-core is installed in TOOLS.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, resolve } from "node:path";

const [site, level, tools] = process.argv.slice(2);
const { default: puppeteer } = await import(createRequire(join(resolve(tools), "x")).resolve("puppeteer-core"));
const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

const server = createServer(async (request, response) => {
    const name = new URL(request.url, "http://localhost").pathname;
    try {
        const content = await readFile(join(resolve(site), name));
        response.setHeader("Content-Type", types[extname(name)] ?? "application/octet-stream");
        response.end(content);
    } catch {
        response.writeHead(404).end();
    }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
    protocolTimeout: 280_000,
});
let log = "";
try {
    const page = await browser.newPage();
    page.on("console", (message) => console.error(message.text()));
    await page.goto(`http://127.0.0.1:${server.address().port}/browser.html`);
    await page.waitForFunction(() => document.body.dataset.done, { timeout: 270_000, polling: 200 });
    log = await page.evaluate(() => document.body.innerText);
} finally {
    await browser.close();
    server.close();
}
console.log(log.trimEnd());
const passed = log.includes("all checks passed") && log.includes(`level ${level}\n`);
if (!passed) console.error(`the checks did not pass at the level ${level}`);
process.exit(passed ? 0 : 1);
