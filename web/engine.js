// The worker as the page sees it: promises, steps, and an end at any time.
import { stoppedWords } from "./words.js";

/** Why a promise was not kept: the work was given up. */
export class Cancelled extends Error {}

export class Engine {
    #worker;
    #pending;
    #number = 0;
    /** The weights that the worker has, and those that a new one is to get: `{ name, bytes }`. */
    #weights;
    #opened;
    #cancelled = false;
    #tell;

    /** `tell(step, share, bytes)` hears of each step. */
    constructor(tell) {
        this.#tell = tell;
    }

    get busy() {
        return this.#pending !== undefined;
    }

    /** Ends what is under way, and refuses further questions until `begin`. */
    cancel() {
        this.#cancelled = true;
        if (this.busy) this.#end(new Cancelled("cancelled"));
    }

    /** From now on questions are welcome. */
    begin() {
        this.#cancelled = false;
    }

    fetch(url) {
        return this.#ask("fetch", { url });
    }

    /** Reads weights; those of before stay in use where these are refused. */
    async open(weights) {
        const about = await this.#ask("open", { weights: weights.bytes, name: weights.name });
        this.#weights = this.#opened = weights;
        return about;
    }

    preview(picture) {
        return this.#withWeights("preview", { image: picture.bytes, name: picture.name });
    }

    detect(picture) {
        return this.#withWeights("detect", { image: picture.bytes, name: picture.name });
    }

    verify(receipt, picture) {
        return this.#withWeights("verify", { receipt, image: picture.bytes, name: picture.name });
    }

    /** Asks a worker that has the weights. */
    async #withWeights(task, given) {
        if (this.#opened !== this.#weights) await this.open(this.#weights);
        return this.#ask(task, given);
    }

    #ask(task, given) {
        if (this.#cancelled) return Promise.reject(new Cancelled("cancelled"));
        this.#worker ??= this.#started();
        const id = ++this.#number;
        return new Promise((resolve, reject) => {
            this.#pending = { id, resolve, reject };
            this.#worker.postMessage({ id, task, ...given });
        });
    }

    #started() {
        const worker = new Worker(new URL(`worker.js${location.search}`, import.meta.url), { type: "module" });
        worker.onmessage = ({ data }) => this.#heard(worker, data);
        worker.onerror = (event) => {
            event.preventDefault();
            if (worker !== this.#worker) return;
            this.#end(new Error(`the page's program did not start: ${event.message ?? "its files are not all there"}`));
        };
        return worker;
    }

    #heard(worker, { id, step, share, bytes, answer, error, stopped, lastWords }) {
        if (worker !== this.#worker || id !== this.#pending?.id) return;
        if (step !== undefined) return this.#tell(step, share, bytes);
        if (stopped) return this.#end(new Error(stoppedWords(error, lastWords)));
        const { resolve, reject } = this.#pending;
        this.#pending = undefined;
        error === undefined ? resolve(answer) : reject(new Error(error));
    }

    /** The worker is of no more use: the next question starts another. */
    #end(error) {
        this.#worker.terminate();
        this.#worker = this.#opened = undefined;
        const pending = this.#pending;
        this.#pending = undefined;
        pending?.reject(error);
    }
}
