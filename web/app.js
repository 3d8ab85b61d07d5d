// The page: what is shown, what is asked of the worker, and what follows from it.
import { Easel } from "./canvas.js";
import { Cancelled, Engine } from "./engine.js";
import { read, save } from "./files.js";
import { Table } from "./table.js";
import { arithmeticWords, limitWords, megabytes, plain, reasons, stepWords } from "./words.js";

const at = (id) => document.getElementById(id);

/** Weights and picture are `{ name, bytes, bundled }`; `found` is the worker's answer for both. */
const state = { weights: undefined, picture: undefined, found: undefined, chosen: undefined };
let sample;

const engine = new Engine(step);
const easel = new Easel(at("canvas"), at("easel"), choose);
const table = new Table(document.querySelector("table"), choose);

// ---- Work: one job at a time; a new one ends the one before.

let jobs = 0;
let last = Promise.resolve();

/** Runs a job, with its errors in words. */
async function work(job) {
    const number = ++jobs;
    engine.cancel();
    await last;
    if (number === jobs) await (last = run(job));
}

async function run(job) {
    engine.begin();
    complain();
    at("again").hidden = true;
    step("start");
    at("work").hidden = false;
    document.body.dataset.state = "busy";
    try {
        await job();
    } catch (error) {
        error instanceof Cancelled ? announce("Cancelled.") : complain(plain(error.message));
    }
    if (at("cancel") === document.activeElement) at("choose").focus();
    at("work").hidden = true;
    at("again").hidden = !state.picture || state.found !== undefined;
    document.body.dataset.state = "idle";
}

function step(name, share, bytes) {
    const words = stepWords(name) ?? "Starting";
    if (at("step").textContent !== words) {
        at("step").textContent = words;
        if (name !== "start") announce(`${words}.`);
    }
    const bar = at("bar");
    share === undefined ? bar.removeAttribute("value") : (bar.value = share);
    at("amount").textContent =
        bytes !== undefined ? megabytes(bytes) : share !== undefined ? `${Math.floor(share * 100)} %` : "";
}

function announce(text) {
    at("announce").textContent = text;
}

function complain(text) {
    at("message").hidden = !text;
    at("message").textContent = text ?? "";
}

// ---- The jobs.

/** The bundled weights, if none are in use yet. */
async function someWeights() {
    if (!state.weights) await useBundled();
}

async function useBundled() {
    const { weights: name } = await known();
    sample.weightsBytes ??= await engine.fetch(`sample/${name}`);
    await useWeights({ name, bytes: sample.weightsBytes, bundled: true });
}

async function showSample() {
    const { picture: name } = await known();
    sample.pictureBytes ??= await engine.fetch(`sample/${name}`);
    await someWeights();
    await showPicture({ name, bytes: sample.pictureBytes, bundled: true });
    await detect();
}

/** What comes with the page: names, and the published digest. */
async function known() {
    sample ??= JSON.parse(new TextDecoder().decode(await engine.fetch("sample/sample.json")));
    return sample;
}

async function useWeights(weights) {
    const about = await engine.open(weights);
    state.weights = weights;
    state.about = about;
    at("weights-name").textContent = weights.bundled ? `${weights.name}, bundled` : weights.name;
    at("weights-sha256").textContent = about.sha256;
    at("bundled").hidden = Boolean(weights.bundled);
    at("arithmetic").textContent = arithmeticWords(about.level);
    at("arithmetic").dataset.level = about.level;
    at("version").textContent = `${about.version}, numerics ${about.numerics}`;
    at("limits").textContent = limitWords(about.limits);
    // Nothing below the weights' own threshold is found.
    at("score").min = about.scoreThreshold;
    forget();
}

async function showPicture(picture) {
    const preview = await engine.preview(picture);
    state.picture = picture;
    at("picture-name").textContent = picture.name;
    at("picture-size").textContent = `${preview.width} × ${preview.height}`;
    easel.show(preview);
    forget();
}

/** What was found belongs to a picture and weights that are no longer there. */
function forget() {
    state.found = state.chosen = undefined;
    at("verified").hidden = true;
    show();
}

async function detect() {
    const found = await engine.detect(state.picture);
    state.found = found;
    state.chosen = undefined;
    show();
    const { length } = visible();
    announce(`Done in ${found.seconds.toFixed(2)} seconds: ${length} shown of ${found.detections.length} found.`);
}

async function verify(receipt) {
    const panel = at("verified");
    panel.hidden = true;
    const text = new TextDecoder().decode(receipt.bytes);
    const { same, stages, differences, report } = await engine.verify(text, state.picture);
    const title = element("p", same ? "verdict good" : "verdict bad", `${receipt.name} ${same ? "holds" : "does not hold"}`);
    if (same) {
        const words = `Run again here, all ${stages} steps and the detections are equal, bit for bit.`;
        panel.replaceChildren(title, element("p", "", words));
    } else {
        const list = element("ul");
        list.append(...reasons(differences, nameIn(text)).map((reason) => element("li", "", reason)));
        const details = element("details");
        details.append(element("summary", "", "Full report"), element("pre", "", report));
        panel.replaceChildren(title, list, details);
    }
    panel.hidden = false;
    panel.scrollIntoView({ block: "nearest" });
}

/** The picture that a receipt speaks of; the library has read it before. */
function nameIn(receipt) {
    try {
        return JSON.parse(receipt).image.path;
    } catch {
        return undefined;
    }
}

function element(tag, className = "", text = "") {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
}

/** Files that came in by any way. Weights first, then the picture, then the receipt that may speak of both. */
function take(files) {
    if (files.length === 0) return;
    work(async () => {
        const { weights, picture, receipt } = await read(files);
        await (weights ? useWeights(weights) : someWeights());
        if (picture) await showPicture(picture);
        if (!state.picture) throw new Error("there is no picture yet: drop one too");
        if (weights || picture) await detect();
        if (receipt) await verify(receipt);
        const left = [weights, picture, receipt].filter((file) => file?.replaced).map((file) => file.replaced);
        if (left.length > 0) complain(`One file of a kind is looked at, the last; ${left.join(", ")} was left out.`);
    });
}

// ---- What is shown.

function threshold() {
    return Number(at("score").value);
}

function visible() {
    return state.found?.detections.filter(({ score }) => score >= threshold()) ?? [];
}

function show() {
    const { found, picture } = state;
    const shown = visible();
    if (!shown.includes(state.chosen)) state.chosen = undefined;
    easel.boxes(shown, state.chosen);
    table.show(shown, state.chosen);
    at("score-value").textContent = threshold().toFixed(2);
    at("digest").textContent = "";
    at("digest").append(...(found?.digest.match(/.{8}/g) ?? ["…"]).map((digits) => element("span", "", digits)));
    for (const id of ["copy", "save-json", "save-receipt"]) at(id).disabled = !found;
    at("seconds").textContent = found ? `${found.seconds.toFixed(2)} s, one thread, decoding and digests of all steps included` : "–";
    const all = found?.detections.length ?? 0;
    at("shown").textContent = !found
        ? "Nothing yet."
        : all === 0
            ? "Nothing was found. The digest says so, too."
            : `${shown.length} of ${all} shown. The digest is over all ${all}.`;
    const listed = shown.slice(0, 5).map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(", ");
    at("canvas").setAttribute("aria-label", !picture
        ? "No picture yet"
        : `${picture.name}${found ? `: ${shown.length} boxes${listed ? `, ${listed}` : ""}${shown.length > 5 ? ", and more" : ""}` : ""}`);
    showVerdicts();
}

function showVerdicts() {
    const { found, picture, weights } = state;
    const ours = found && picture.bundled && weights.bundled;
    verdict(at("published"), ours ? found.digest === sample.digest : undefined,
        "Equal to the published one",
        `Not equal to the published one (${sample?.digest}): please report this, with browser and machine`);
    const expected = at("expected").value.trim().toLowerCase();
    const said = at("compared");
    if (expected && !/^[0-9a-f]{64}$/.test(expected)) {
        verdict(said, false, "", "That is no digest: it has 64 digits, 0 to 9 and a to f");
    } else {
        verdict(said, found && expected ? found.digest === expected : undefined, "Equal", "Different");
    }
}

function verdict(place, holds, yes, no) {
    place.hidden = holds === undefined;
    place.className = `verdict ${holds ? "good" : "bad"}`;
    const words = holds === undefined ? "" : holds ? yes : no;
    if (place.textContent !== words) place.textContent = words;
}

function choose(detection) {
    state.chosen = detection;
    const shown = visible();
    easel.boxes(shown, detection);
    table.show(shown, detection);
}

// ---- What people do.

at("choose").addEventListener("click", () => at("files").click());
at("check-receipt").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", () => {
    take([...at("files").files]);
    // So that the same file can be chosen again.
    at("files").value = "";
});
at("sample").addEventListener("click", () => work(showSample));
at("again").addEventListener("click", () => work(detect));
at("bundled").addEventListener("click", () => work(async () => {
    await useBundled();
    await detect();
}));
at("cancel").addEventListener("click", () => engine.cancel());
at("score").addEventListener("input", show);
at("expected").addEventListener("input", showVerdicts);
at("save-receipt").addEventListener("click", () => save(`${state.picture.name}.receipt.json`, state.found.receipt));
at("save-json").addEventListener("click", () => save(`${state.picture.name}.json`, state.found.record));
at("copy").addEventListener("click", async () => {
    const copied = await navigator.clipboard?.writeText(state.found.digest).then(() => true, () => false);
    // Where pages may not write to the clipboard, what is selected is copied by keys.
    if (!copied) getSelection().selectAllChildren(at("digest"));
    at("copy").textContent = copied ? "Copied" : "Selected";
    announce(copied ? "The digest is copied." : "The digest is selected: copy it with the keys.");
    setTimeout(() => (at("copy").textContent = "Copy"), 2000);
});

document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
});

let over = 0;
const dragsFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
    if (!dragsFiles(event)) return;
    event.preventDefault();
    over += 1;
    at("drop-here").hidden = false;
});
addEventListener("dragover", (event) => {
    if (dragsFiles(event)) event.preventDefault();
});
addEventListener("dragleave", (event) => {
    if (!dragsFiles(event)) return;
    over -= 1;
    at("drop-here").hidden = over > 0;
});
addEventListener("drop", (event) => {
    if (!dragsFiles(event)) return;
    event.preventDefault();
    over = 0;
    at("drop-here").hidden = true;
    take([...event.dataTransfer.files]);
});

// Some browsers run a file's modules, and then keep its worker from the files beside it.
if (location.protocol === "file:") {
    at("unserved").classList.add("now");
} else {
    at("unserved").remove();
    at("page").hidden = false;
    work(showSample);
}
