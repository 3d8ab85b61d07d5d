// Somebody who visits the page in a real browser: what can be done there, and what is then to be seen.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

export const BROWSERS = {
    chromium: { browser: "chrome", executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] },
    firefox: { browser: "firefox", executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr", args: [] },
};

/** A browser of that name, with more arguments. */
export async function launch(tools, name, more = []) {
    const { default: puppeteer } = await import(createRequire(join(resolve(tools), "x")).resolve("puppeteer-core"));
    const { args, ...options } = BROWSERS[name];
    return puppeteer.launch({ ...options, args: [...args, ...more], protocolTimeout: 300_000, timeout: 120_000 });
}

/** What runs in the page before it: what it saves is kept, and what its policy forbids is counted. */
function listen() {
    globalThis.saved = [];
    globalThis.violations = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    URL.createObjectURL = (blob) => {
        saved.push(blob);
        return "blob:kept";
    };
    const click = HTMLAnchorElement.prototype.click;
    HTMLAnchorElement.prototype.click = function () {
        if (!this.download) click.call(this);
    };
    // The main thread's longest pause.
    globalThis.longest = 0;
    let last = performance.now();
    const beat = () => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
        setTimeout(beat, 10);
    };
    beat();
}

export class Visitor {
    requests = [];
    complaints = [];

    /** Opens the page; `url` may have a query. */
    static async at(browser, url) {
        const visitor = new Visitor();
        const page = (visitor.page = await browser.newPage());
        await page.setViewport({ width: 1280, height: 900 });
        await page.evaluateOnNewDocument(listen);
        page.on("request", (request) => visitor.requests.push(request.url()));
        page.on("console", (message) => {
            if (["error", "warn", "warning"].includes(message.type())) visitor.complaints.push(message.text());
        });
        page.on("pageerror", (error) => visitor.complaints.push(String(error)));
        await page.goto(url, { waitUntil: "domcontentloaded", timeout: 120_000 });
        return visitor;
    }

    /** Waits until nothing is computed any more. */
    async idle() {
        await this.page.waitForFunction(() => document.body.dataset.state === "idle", { timeout: 280_000, polling: 50 });
    }

    text(selector) {
        return this.page.$eval(selector, (element) => (element.hidden ? "" : element.textContent.replace(/\s+/g, " ").trim()));
    }

    /** Drops files anywhere, `[name, bytes, zeros after them]` each, as a person's pointer would. */
    async drop(...files) {
        await this.#bring("drop", files);
    }

    async paste(...files) {
        await this.#bring("paste", files);
    }

    async #bring(way, files) {
        const given = files.map(([name, bytes, more = 0]) => [name, Buffer.from(bytes).toString("base64"), more]);
        await this.page.evaluate((way, given) => {
            const transfer = new DataTransfer();
            for (const [name, text, more] of given) {
                const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
                transfer.items.add(new File([bytes, new Uint8Array(more)], name));
            }
            const event = way === "drop"
                ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
        }, way, given);
        await this.idle();
    }

    async click(selector) {
        await this.page.$eval(selector, (element) => element.click());
        await this.idle();
    }

    /** The text of what the page saves when that is clicked. */
    async save(selector) {
        await this.page.$eval(selector, (element) => element.click());
        return this.page.evaluate(() => saved.at(-1).text());
    }

    digest() {
        return this.text("#digest");
    }

    rows() {
        return this.page.$$eval("#rows tr", (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
    }

    async set(selector, value) {
        await this.page.$eval(selector, (input, value) => {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }, value);
    }

    focused() {
        return this.page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    }
}
