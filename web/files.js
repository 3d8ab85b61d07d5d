// Files that were dropped, pasted or chosen, told apart by what is in them; and files that are saved.

/** "weights", "receipt" or "picture". */
export function kindOf(bytes) {
    const start = new Uint8Array(bytes, 0, Math.min(16, bytes.byteLength));
    const text = String.fromCharCode(...start);
    if (/^(\xef\xbb\xbf)?\s*[{[]/.test(text)) return "receipt";
    // Safetensors: the header's length in 8 bytes, and the header. A `.pth` file is a ZIP archive or a pickle.
    if (text[8] === "{" || text.startsWith("PK\x03\x04") || (start[0] === 0x80 && start[1] <= 5)) return "weights";
    return "picture";
}

/** Name and content of each, by kind: the last of a kind counts. */
export async function read(files) {
    const byKind = {};
    for (const file of files) {
        const bytes = await file.arrayBuffer().catch(() => {
            throw new Error(`${file.name} cannot be read: if it is a folder, drop the files in it`);
        });
        // Where a name says what a damaged or empty file should be, the message is about that.
        const named = /\.(safetensors|pth|pt)$/i.test(file.name) ? "weights" : /\.json$/i.test(file.name) ? "receipt" : undefined;
        const kind = named ?? kindOf(bytes);
        byKind[kind] = { name: file.name, bytes, replaced: byKind[kind]?.name };
    }
    return byKind;
}

export function save(name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
