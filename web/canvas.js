// The picture and the boxes on it.

/** For the labels in turn: told apart by lightness too, and all dark enough for white letters. */
const COLOURS = ["#b3261e", "#00639b", "#38691e", "#7b3fa0", "#8a5100", "#006a60", "#a2185b", "#4e5b00"];

export function colourOf(labelId) {
    return COLOURS[labelId % COLOURS.length];
}

export class Easel {
    #canvas;
    #frame;
    #picture;
    #bitmap;
    #boxes = [];
    #chosen;

    /** `pick(detection or undefined)` is told where the picture was clicked. */
    constructor(canvas, frame, pick) {
        this.#canvas = canvas;
        this.#frame = frame;
        new ResizeObserver(() => this.#draw()).observe(frame);
        canvas.addEventListener("click", (event) => pick(this.#at(event)));
    }

    /** What the worker calls a preview. */
    show(preview) {
        this.#picture = preview;
        this.#bitmap = document.createElement("canvas");
        this.#bitmap.width = preview.pixels.width;
        this.#bitmap.height = preview.pixels.height;
        this.#bitmap.getContext("2d").putImageData(preview.pixels, 0, 0);
        this.boxes([]);
    }

    boxes(detections, chosen) {
        this.#boxes = detections;
        this.#chosen = chosen;
        this.#draw();
    }

    /** The smallest box under the pointer. */
    #at(event) {
        if (!this.#picture) return undefined;
        const frame = this.#canvas.getBoundingClientRect();
        const x = ((event.clientX - frame.left) / frame.width) * this.#picture.width;
        const y = ((event.clientY - frame.top) / frame.height) * this.#picture.height;
        const area = ({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
        return this.#boxes
            .filter(({ box: [x1, y1, x2, y2] }) => x1 <= x && x <= x2 && y1 <= y && y <= y2)
            .sort((one, other) => area(one) - area(other))[0];
    }

    #draw() {
        if (!this.#picture) return;
        const { width, height, factor } = this.#picture;
        // As wide as there is room, but no higher than most of the window.
        const room = this.#frame.clientWidth;
        const highest = Math.max(240, Math.min(innerHeight * 0.72, 860));
        const scale = Math.min(room / width, highest / height);
        const shown = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
        const dots = Math.min(devicePixelRatio || 1, 3);
        const canvas = this.#canvas;
        canvas.style.width = `${shown[0]}px`;
        canvas.style.height = `${shown[1]}px`;
        canvas.width = Math.round(shown[0] * dots);
        canvas.height = Math.round(shown[1] * dots);
        const context = canvas.getContext("2d");
        context.imageSmoothingQuality = "high";
        context.scale(canvas.width / shown[0], canvas.height / shown[1]);
        const across = shown[0] / width;
        const down = shown[1] / height;
        context.drawImage(this.#bitmap, 0, 0, this.#bitmap.width * factor * across, this.#bitmap.height * factor * down);
        const shownBoxes = this.#chosen ? [this.#chosen] : this.#boxes;
        if (this.#chosen) {
            const [x1, y1, x2, y2] = this.#chosen.box;
            context.fillStyle = "rgb(0 0 0 / 0.45)";
            context.beginPath();
            context.rect(0, 0, ...shown);
            context.rect(x1 * across, y1 * down, (x2 - x1) * across, (y2 - y1) * down);
            context.fill("evenodd");
        }
        const line = this.#chosen ? 3 : 2;
        const frames = shownBoxes.map((detection) => ({ detection, place: inside(detection.box, across, down, shown, line) }));
        // The best on top, and no caption on another.
        for (const { detection, place } of [...frames].reverse()) outline(context, place, colourOf(detection.label_id), line);
        const taken = [];
        for (const { detection, place } of frames) caption(context, detection, place, shown, taken);
    }
}

/** Where a box's frame is drawn: inside the picture, also where the box ends at its edge. */
function inside([x1, y1, x2, y2], across, down, [width, height], line) {
    const margin = line / 2 + 1;
    const left = Math.max(x1 * across, margin);
    const top = Math.max(y1 * down, margin);
    return { left, top, right: Math.min(x2 * across, width - margin), bottom: Math.min(y2 * down, height - margin) };
}

function outline(context, { left, top, right, bottom }, colour, line) {
    for (const [style, width] of [["#fff", line + 2], [colour, line]]) {
        context.strokeStyle = style;
        context.lineWidth = width;
        context.strokeRect(left, top, right - left, bottom - top);
    }
}

/** Label and score, at the first place around the frame that is free; none where there is no such place. */
function caption(context, { label, label_id: id, score }, { left, top, right, bottom }, [width, height], taken) {
    context.font = "600 13px system-ui, sans-serif";
    const text = `${label} ${score.toFixed(2)}`;
    const wide = Math.ceil(context.measureText(text).width) + 12;
    const tall = 21;
    const x = Math.max(0, Math.min(left - 1, width - wide));
    const far = Math.max(0, Math.min(right + 1 - wide, width - wide));
    const places = [[x, top - tall], [x, top - 1], [far, top - tall], [far, top - 1], [x, bottom], [x, bottom - tall], [far, bottom - tall]];
    const free = ([x, y]) =>
        y >= 0 && y + tall <= height &&
        taken.every(([left, top, width]) => x + wide <= left || left + width <= x || y + tall <= top || top + tall <= y);
    const place = places.find(free);
    if (!place) return;
    taken.push([...place, wide]);
    context.fillStyle = colourOf(id);
    context.fillRect(...place, wide, tall);
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(text, place[0] + 6, place[1] + tall / 2 + 0.5);
}
