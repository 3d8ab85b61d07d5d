// The table of what was found: sorted by a column, and one row chosen, by pointer or keys.
import { colourOf } from "./canvas.js";

const ORDERS = {
    score: (one, other) => one.score - other.score,
    label: (one, other) => one.label.localeCompare(other.label),
};

export class Table {
    #body;
    #heads;
    #choose;
    #by = "score";
    #down = true;
    #detections = [];
    #chosen;

    /** `choose(detection or undefined)` is told which row was chosen. */
    constructor(table, choose) {
        this.#body = table.tBodies[0];
        this.#choose = choose;
        this.#heads = [...table.tHead.querySelectorAll("button")];
        for (const head of this.#heads) head.addEventListener("click", () => this.#sort(head.dataset.by));
        this.#body.addEventListener("click", (event) => {
            const row = event.target.closest("tr");
            if (row) this.#toggle(row);
        });
        this.#body.addEventListener("keydown", (event) => this.#key(event));
    }

    /** In the order that they are shown in. */
    show(detections, chosen) {
        this.#detections = detections;
        this.#chosen = chosen;
        this.#fill();
    }

    #sort(by) {
        this.#down = by === this.#by ? !this.#down : by === "score";
        this.#by = by;
        for (const head of this.#heads) {
            const sorted = head.dataset.by === by ? (this.#down ? "descending" : "ascending") : null;
            const cell = head.closest("th");
            sorted ? cell.setAttribute("aria-sort", sorted) : cell.removeAttribute("aria-sort");
        }
        this.#fill();
    }

    #sorted() {
        const order = ORDERS[this.#by];
        return [...this.#detections].sort((one, other) => (this.#down ? order(other, one) : order(one, other)));
    }

    #fill() {
        const hadFocus = this.#body.contains(document.activeElement);
        const rows = this.#sorted().map((detection) => row(detection, detection === this.#chosen));
        // One of the rows is reached by Tab, and the others from it by arrow keys.
        const reached = rows.find((row) => row.detection === this.#chosen) ?? rows[0];
        if (reached) reached.querySelector("button").tabIndex = 0;
        this.#body.replaceChildren(...rows);
        if (hadFocus) reached?.querySelector("button").focus();
    }

    #toggle(row) {
        this.#choose(row.detection === this.#chosen ? undefined : row.detection);
        this.#focus([...this.#body.rows].find((other) => other.detection === row.detection));
    }

    #key(event) {
        const rows = [...this.#body.rows];
        const now = rows.indexOf(event.target.closest("tr"));
        const last = rows.length - 1;
        const next = { ArrowDown: Math.min(now + 1, last), ArrowUp: Math.max(now - 1, 0), Home: 0, End: last }[event.key];
        if (event.key === "Escape" && this.#chosen) {
            this.#choose(undefined);
        } else if (next !== undefined && now >= 0) {
            const { detection } = rows[next];
            this.#choose(detection);
            this.#focus([...this.#body.rows].find((row) => row.detection === detection));
        } else {
            return;
        }
        event.preventDefault();
    }

    #focus(row) {
        row?.querySelector("button").focus();
    }
}

function row(detection, chosen) {
    const { label, label_id: id, score, box: [x1, y1, x2, y2] } = detection;
    const row = document.createElement("tr");
    row.detection = detection;
    row.classList.toggle("chosen", chosen);
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("aria-pressed", String(chosen));
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = colourOf(id);
    button.append(dot, label);
    const head = document.createElement("th");
    head.scope = "row";
    head.append(button);
    const pair = (x, y) => `${x.toFixed(1)}, ${y.toFixed(1)}`;
    row.append(head, ...[score.toFixed(4), pair(x1, y1), pair(x2, y2)].map((text) => {
        const cell = document.createElement("td");
        cell.className = "number";
        cell.textContent = text;
        return cell;
    }));
    return row;
}
