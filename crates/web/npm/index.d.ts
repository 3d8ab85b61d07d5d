/** One object in an image. */
export interface Detection {
    /** The class's number: its place in the model's classes. */
    label_id: number;
    /** The class's name. */
    label: string;
    /** Between 0 and 1. */
    score: number;
    /** x1, y1, x2, y2 in pixels of the image. */
    box: [number, number, number, number];
}

/** A step of the computation, and the digest of what it gave. */
export interface Stage {
    name: string;
    digest: string;
}

/** What is in an image. */
export interface Found {
    /** Height and width, in pixels. */
    imageSize: [number, number];
    /** The best first. */
    detections: Detection[];
    /** The SHA-256 of the detections' bits, in 64 digits: the same on every machine. */
    digest: string;
    /** Digests of the steps, in order. */
    stages: Stage[];
    /** The text of a receipt file, which `retinanet verify` and {@link Detector.verify} re-run. */
    receipt: string;
    /** The text of what `retinanet detect --json` writes. */
    record: string;
}

/** One thing that is not as a receipt says. */
export interface Difference {
    kind: "seal" | "versions" | "ownDetections" | "imageFile" | "weightsFile" | "stage" | "detections" | "other";
    /** In words. */
    text: string;
}

/** What re-running a receipt showed. */
export interface Verification {
    /** Whether everything came out as the receipt says. */
    same: boolean;
    /** How many steps were compared. */
    stages: number;
    /** Causes before consequences; none where every bit is equal. */
    differences: Difference[];
    /** What was compared, and what differs, in words. */
    report: string;
}

/** The weights. */
export interface Weights {
    name: string;
    /** Of the file, in 64 digits. */
    sha256: string;
    /** The classes' names, by their numbers. */
    categories: string[];
    /** Only what has a higher score is found. */
    scoreThreshold: number;
    /** Which numerics: changes of any answer's bits are counted. */
    numerics: number;
}

/** Weights in memory, and the network built of them. A call returns when it is done: on a page, use a Web Worker. */
export class Detector {
    private constructor();
    /** How multiply-adds are done: by the instruction, or emulated. The bits are the same. */
    readonly level: "relaxed-simd" | "portable";
    describe(): Weights;
    /** Finds objects in the content of an image file; `name` is what messages and receipts call it. Throws an `Error` that says what is wrong with the file. */
    detect(image: Uint8Array, name: string): Found;
    /** Detects again what a receipt says, with these weights. */
    verify(receipt: string, image: Uint8Array, name: string): Verification;
    /** Gives the memory back. The detector cannot be used afterwards. */
    free(): void;
}

/** Options of {@link load}. */
export interface LoadOptions {
    /** Which WebAssembly module: by default the fastest that this engine has. */
    module?: "fastest" | "simd" | "relaxed";
}

/** Reads the content of a `.safetensors` or `.pth` file and builds its detector. Throws an `Error` that says what is wrong with the file. */
export function load(weights: Uint8Array, name: string, options?: LoadOptions): Promise<Detector>;
