// What must be true of the page. Each fact is `[what, test]`; a test gets `{ visitor, browser, url, files, command, level }`.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { configured, png, vast } from "../../crates/web/tests/made.mjs";
import { Visitor } from "./visitor.mjs";

function equal(found, expected) {
    if (found !== expected) throw new Error(`found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}

function says(text, words) {
    if (!words.test(text)) throw new Error(`${JSON.stringify(text)} does not say ${words}`);
}

/** What the command answers for a file, with the bundled weights. */
function answer({ command, files }, path) {
    const given = ["detect", "--json", "-", "--weights", files.weightsPath, path];
    return JSON.parse(execFileSync(command, given, { stdio: ["ignore", "pipe", "ignore"] }))[0];
}

/** The elements whose letters are too pale for what they stand on: WCAG 2 AA asks for 4.5 to 1. */
function pale() {
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = channels(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.disabled) continue;
        const [one, other] = [light(channels(getComputedStyle(element).color)), light(ground(element))];
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) found.push(`${element.tagName} ${element.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
    }
    return found;
}

export const FACTS = [
    ["without a click, the sample has the published digest", async ({ visitor, files, level }) => {
        await visitor.idle();
        equal(await visitor.text("#message"), "");
        equal(await visitor.digest(), files.published);
        says(await visitor.text("#published"), /^Equal to the published one$/);
        equal(await visitor.page.$eval("#arithmetic", (element) => element.dataset.level), level);
        const [[label, score]] = await visitor.rows();
        equal(`${label} ${score}`, "person 0.9326");
        says(await visitor.page.$eval("#canvas", (canvas) => canvas.getAttribute("aria-label")), /astronaut\.png: .*person 0\.93/);
    }],
    ["a JPEG has the command's digest and its JSON", async (given) => {
        const { visitor, files } = given;
        // Made here, so that it is none that any decoder was tuned to.
        const bytes = Buffer.from(await visitor.page.$eval("#canvas", async (canvas) => {
            const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
            return [...new Uint8Array(await blob.arrayBuffer())];
        }));
        files.jpeg = ["photo.jpg", bytes];
        const path = join(files.folder, "photo.jpg");
        writeFileSync(path, bytes);
        const expected = answer(given, path);
        await visitor.drop(files.jpeg);
        equal(await visitor.digest(), expected.digest);
        equal(await visitor.text("#published"), "");
        const [record] = JSON.parse(await visitor.save("#save-json"));
        equal(JSON.stringify(record.detections), JSON.stringify(expected.detections));
        await visitor.set("#expected", ` ${expected.digest.toUpperCase()}`);
        equal(await visitor.text("#compared"), "Equal");
        await visitor.set("#expected", files.published);
        equal(await visitor.text("#compared"), "Different");
        await visitor.set("#expected", "3e64");
        says(await visitor.text("#compared"), /64 digits/);
        await visitor.set("#expected", "");
    }],
    ["a turned photo is shown upright, and has the command's digest", async (given) => {
        const { visitor, files } = given;
        const path = join(files.testdata, "exif_6.jpg");
        const expected = answer(given, path);
        await visitor.drop(["exif_6.jpg", readFileSync(path)]);
        equal(await visitor.digest(), expected.digest);
        equal(await visitor.text("#picture-size"), `${expected.width} × ${expected.height}`);
    }],
    ["a pasted TIFF, which browsers do not show, is shown", async ({ visitor, files }) => {
        await visitor.paste(["grey.tiff", readFileSync(join(files.formats, "tiff_grey8.tiff"))]);
        equal(await visitor.text("#message"), "");
        equal((await visitor.digest()).length, 64);
        equal(await visitor.page.$eval("#canvas", (canvas) => canvas.width > 99), true);
    }],
    ["a true receipt holds, here and by the command", async ({ visitor, files, command }) => {
        await visitor.click("#sample");
        equal(await visitor.digest(), files.published);
        files.receipt = await visitor.save("#save-receipt");
        const path = join(files.folder, "page.receipt.json");
        writeFileSync(path, files.receipt);
        execFileSync(command, ["verify", path, "--image", files.photoPath, "--weights", files.weightsPath], { stdio: "pipe" });
        await visitor.drop(["page.receipt.json", files.receipt]);
        says(await visitor.text("#verified"), /^page\.receipt\.json holds.*all \d+ steps and the detections are equal/);
        const folder = join(files.folder, "receipts");
        execFileSync(command, ["detect", "--weights", files.weightsPath, "--receipt", folder, files.photoPath], { stdio: "pipe" });
        const theirs = readFileSync(join(folder, "astronaut.png.receipt.json"));
        await visitor.drop(["command.receipt.json", theirs]);
        says(await visitor.text("#verified"), /^command\.receipt\.json holds/);
    }],
    ["a tampered receipt does not hold, and it says why", async ({ visitor, files }) => {
        const receipt = JSON.parse(files.receipt);
        receipt.detections.detections[0].score = 0.9999;
        await visitor.drop(["tampered.json", JSON.stringify(receipt)]);
        const text = await visitor.text("#verified");
        says(text, /^tampered\.json does not hold/);
        says(text, /edited after it was written/);
        says(text, /scores, boxes or labels were edited/);
    }],
    ["a receipt of another picture does not hold, and names it", async ({ visitor, files }) => {
        await visitor.drop(files.jpeg, ["other.json", files.receipt]);
        const text = await visitor.text("#verified");
        says(text, /^other\.json does not hold/);
        says(text, /another picture than the one shown: astronaut\.png/);
        await visitor.drop(["none.json", "{}"]);
        says(await visitor.text("#message"), /no receipt/);
    }],
    ["damaged, empty, huge and foreign files are refused in words", async ({ visitor, files }) => {
        const before = await visitor.digest();
        const cases = [
            [["cut.png", files.photo.subarray(0, 5000)], /cut\.png.* damaged or cut short/],
            [["cut.jpg", files.jpeg[1].subarray(0, 3000)], /cut\.jpg.* damaged or cut short: the data end before the image does; download/],
            [["none.png", Buffer.alloc(0)], /none\.png.* is empty/],
            [["note.txt", Buffer.from("a note")], /note\.txt.* is not an image/],
            [["vast.png", png(30_000, 20_000)], /30000 x 20000 pixels .* limit of 50000000 pixels; scale it down\.$/],
            ...Object.entries(vast).map((file) => [file, new RegExp(`${file[0]}.*(limit|damaged|not supported)`)]),
            [["heavy.png", files.photo, 65 << 20], /heavy\.png.* more than 67108864 bytes; make it smaller\.$/],
            [["cut.safetensors", files.weights.subarray(0, 9999)], /cut\.safetensors/],
            [["photo.safetensors", files.photo], /photo\.safetensors.* it is an image/],
            [["empty.pth", Buffer.alloc(0)], /empty\.pth/],
        ];
        for (const [file, words] of cases) {
            await visitor.drop(file);
            const text = await visitor.text("#message");
            says(text, words);
            if (/`|::/.test(text)) throw new Error(`${text} speaks to programmers`);
            equal(await visitor.digest(), before);
        }
    }],
    ["weights that ask for more memory than there is are refused in words, and the next answer is right", async ({ visitor, files }) => {
        const vast = configured(files.weights, (config) => Object.assign(config.transform, { min_size: 5824, max_size: 5824 }));
        await visitor.drop(["vast.safetensors", vast]);
        says(await visitor.text("#message"), /memory/);
        await visitor.click("#bundled");
        await visitor.click("#sample");
        equal(await visitor.digest(), files.published);
        // The engine and its last words are complaints of the browser, not of the page.
        visitor.complaints = visitor.complaints.filter((text) => !/memory|allocation/i.test(text));
    }],
    ["own weights are used by drop, and the bundled ones come back", async ({ visitor, files }) => {
        const own = configured(files.weights, (config) => {
            config.categories = config.categories.map((name) => (name === "person" ? "human" : name));
        });
        await visitor.drop(["own.safetensors", own]);
        equal(await visitor.text("#message"), "");
        equal(await visitor.text("#weights-name"), "own.safetensors");
        equal((await visitor.rows())[0][0], "human");
        equal(await visitor.text("#published"), "");
        await visitor.click("#bundled");
        equal(await visitor.digest(), files.published);
    }],
    ["the slider filters what is shown, and computes nothing", async ({ visitor, files }) => {
        await visitor.page.evaluate(() => {
            globalThis.asked = 0;
            const post = Worker.prototype.postMessage;
            Worker.prototype.postMessage = function (...given) {
                asked += 1;
                return post.apply(this, given);
            };
        });
        await visitor.set("#score", 0.05);
        const all = (await visitor.rows()).length;
        says(await visitor.text("#shown"), new RegExp(`^${all} of ${all} shown`));
        await visitor.set("#score", 0.95);
        equal((await visitor.rows()).length, 0);
        await visitor.set("#score", 0.5);
        equal(await visitor.digest(), files.published);
        equal(await visitor.page.evaluate(() => asked), 0);
    }],
    ["with keys alone: sample, slider, row, receipt", async ({ visitor, files }) => {
        const { page } = visitor;
        await page.evaluate(() => {
            document.activeElement.blur();
            getSelection().removeAllRanges();
        });
        const passed = [];
        const tabTo = async (name) => {
            for (let i = 0; i < 30; i++) {
                await page.keyboard.press("Tab");
                passed.push(await visitor.focused());
                if (passed.at(-1) === name) return;
            }
            throw new Error(`${name} is not reached by Tab, but ${passed}`);
        };
        await page.$eval(".skip", (link) => link.focus());
        await tabTo("choose");
        await tabTo("sample");
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.body.dataset.state === "busy" || document.querySelector("#digest").textContent.length === 64);
        await visitor.idle();
        equal(await visitor.digest(), files.published);
        await page.$eval("#sample", (button) => button.focus());
        await tabTo("score");
        await page.keyboard.press("Home");
        equal(await visitor.text("#score-value"), "0.05");
        await tabTo("person");
        await page.keyboard.press("Enter");
        const pressed = () => page.$$eval("#rows button", (buttons) => buttons.map((button) => button.getAttribute("aria-pressed")).join());
        says(await pressed(), /^true/);
        const many = (await visitor.rows()).length > 1;
        await page.keyboard.press("ArrowDown");
        says(await pressed(), many ? /^false,true/ : /^true/);
        await page.keyboard.press("Escape");
        says(await pressed(), /^false/);
        await tabTo("save-receipt");
        await page.keyboard.press("Enter");
        equal(JSON.parse(await page.evaluate(() => saved.at(-1).text())).digest, files.published);
        await visitor.set("#score", 0.5);
    }],
    ["a run is cancelled, and run again", async ({ visitor, files }) => {
        const { page } = visitor;
        await page.evaluate(() => {
            document.querySelector("#sample").click();
            const seen = new MutationObserver(() => {
                if (/Running|Scaling/.test(document.querySelector("#step").textContent)) {
                    seen.disconnect();
                    document.querySelector("#cancel").click();
                }
            });
            seen.observe(document.querySelector("#work"), { subtree: true, childList: true, characterData: true });
        });
        await page.waitForFunction(() => document.querySelector("#announce").textContent === "Cancelled.");
        await visitor.idle();
        equal(await visitor.text("#digest"), "…");
        equal(await page.$eval("#again", (button) => button.hidden), false);
        await visitor.click("#again");
        equal(await visitor.digest(), files.published);
        // A second job ends the first.
        await page.evaluate(() => document.querySelector("#sample").click());
        await visitor.drop(["grey.tiff", readFileSync(join(files.formats, "tiff_grey8.tiff"))]);
        equal(await visitor.text("#picture-name"), "grey.tiff");
        await visitor.click("#sample");
    }],
    ["the page never freezes: its thread's longest pause is less than half of the computing, or of a second", async ({ visitor }) => {
        await visitor.page.evaluate(() => (longest = 0));
        await visitor.click("#sample");
        const longest = await visitor.page.evaluate(() => longest);
        const seconds = Number(/^[\d.]+/.exec(await visitor.text("#seconds"))[0]);
        if (longest > Math.max(500, seconds * 500)) throw new Error(`the longest pause was ${longest.toFixed(0)} ms of ${seconds} s`);
    }],
    ["nothing scrolls sideways from 320 to 1920 pixels", async ({ visitor }) => {
        const { page } = visitor;
        for (const width of [320, 390, 768, 960, 1280, 1920]) {
            await page.setViewport({ width, height: 800 });
            const wide = await page.evaluate(() => document.documentElement.scrollWidth);
            if (wide > width) throw new Error(`at ${width} pixels the page is ${wide} wide`);
        }
        await page.setViewport({ width: 1280, height: 900 });
    }],
    ["letters stand out by 4.5 to 1, light and dark; axe finds no fault", async ({ visitor, axe, name }) => {
        // Another scheme is asked for through Chromium's own protocol.
        for (const scheme of name === "chromium" ? ["light", "dark"] : ["light"]) {
            if (name === "chromium") {
                await visitor.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
            }
            equal((await visitor.page.evaluate(pale)).join("; "), "");
            await visitor.page.evaluate(axe);
            const faults = await visitor.page.evaluate(async () =>
                (await globalThis.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
            equal(faults.join("; "), "");
        }
    }],
    ["opened as a file, the page says what to do", async ({ browser, files, visitor }) => {
        const page = await browser.newPage();
        await page.goto(pathToFileURL(join(files.page, "index.html")).href, { waitUntil: "domcontentloaded", timeout: 120_000 });
        await page.waitForFunction(() => {
            const notice = document.querySelector("#unserved");
            return notice && getComputedStyle(notice).visibility === "visible";
        }, { timeout: 10_000, polling: 100 });
        says(await page.$eval("#unserved", (notice) => notice.innerText), /python3 -m http\.server/);
        await page.close();
        await visitor.page.bringToFront();
    }],
    ["no request left the page's own folder, no policy was broken, the console is empty", async ({ visitor, url }) => {
        const foreign = visitor.requests.filter((request) => !request.startsWith(url) && !/^(blob|data):/.test(request));
        equal(foreign.join(), "");
        if (visitor.requests.length < 5) throw new Error(`only ${visitor.requests} were seen, so nothing was watched`);
        equal((await visitor.page.evaluate(() => violations)).join(), "");
        equal(visitor.complaints.join("; "), "");
    }],
];

/** Those that are repeated where only the arithmetic is another. */
export const ARITHMETIC = /sample has the published digest|JPEG has|tampered|never freezes|no request/;
