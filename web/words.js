// What the page says: the library's messages without what only programs can do, and what it says itself.

/** A message without the advice that is for programs. */
export function plain(message) {
    const text = message
        .replace(/,? or raise `[A-Za-z:_]+`(?: if it is to be trusted)?/g, "")
        .replace(/; raise `[A-Za-z:_]+`(?: if it is to be trusted)?/g, "; make it smaller")
        .replace(/ \(`DecodeOptions::[a-z_]+` decodes what is left\)/g, "");
    return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** Why the program stopped in the middle. */
export function stoppedWords(error, lastWords) {
    return lastWords
        ? `the program stopped at a fault of its own (${lastWords}); please report it, with the file`
        : `the program did not find the memory that it needs (${error}): take a smaller picture, or weights for smaller ones`;
}

const STEPS = {
    program: "Loading the program",
    download: "Loading the sample",
    weights: "Reading the weights",
    picture: "Decoding the picture",
    input: "Scaling it for the network",
    network: "Running the network",
    boxes: "Finding the boxes",
};

export function stepWords(step) {
    return STEPS[step];
}

export function megabytes(bytes) {
    return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function limitWords({ maxFileBytes, maxPixels }) {
    return `, of up to ${maxPixels / 1e6} million pixels and ${maxFileBytes >> 20} MB`;
}

export function arithmeticWords(level) {
    return level === "relaxed-simd"
        ? "Fused multiply-add, by this browser's relaxed SIMD"
        : "Fused multiply-add emulated in 64-bit floats: the same bits, slower, for this browser fuses none itself";
}

const REASONS = {
    seal: () => "It was edited after it was written: its seal does not fit its content.",
    versions: () => "It claims other versions than this program has.",
    ownDetections: () => "Its scores, boxes or labels were edited: they do not have the digest that it states.",
    imageFile: (receipt) =>
        `It is about another picture than the one shown${receipt ? `: ${receipt}` : ""}. Drop that picture, and then the receipt again.`,
    weightsFile: () => "It was made with other weights than those in use here. Drop those, and then the receipt again.",
};

/** Why a receipt does not hold. What only follows from another file is left to the full report. */
export function reasons(differences, pictureInReceipt) {
    const kinds = differences.map(({ kind }) => kind);
    const edited = kinds.includes("ownDetections");
    const otherFile = kinds.includes("imageFile") || kinds.includes("weightsFile");
    return differences
        .filter(({ kind }) => !(otherFile && kind === "stage") && !((otherFile || edited) && kind === "detections"))
        .map(({ kind, text }) => REASONS[kind]?.(pictureInReceipt) ?? plain(text));
}
