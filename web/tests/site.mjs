// The page, handed out as any static server would, below a path of its own.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
};
export const PREFIX = "/some/where/";

/** `{ url, close }` of a server of the folder; with its page's policy as a header for every file, where `policy` says so. */
export async function serve(folder, policy) {
    const meta = /Content-Security-Policy" content="([^"]+)"/.exec(await readFile(join(folder, "index.html"), "utf8"))[1];
    const server = createServer(async (request, response) => {
        const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
        const name = path.endsWith("/") ? `${path}index.html` : path;
        const content = path.startsWith(PREFIX) ? await readFile(join(folder, name.slice(PREFIX.length))).catch(() => undefined) : undefined;
        if (!content) return response.writeHead(404).end();
        if (policy) response.setHeader("Content-Security-Policy", `${meta}; frame-ancestors 'none'`);
        // A type that nobody knows is no type: so `.wasm` and `.safetensors` are sent by many servers.
        response.setHeader("Content-Type", TYPES[extname(name)] ?? "application/octet-stream");
        response.setHeader("Content-Length", content.length);
        response.setHeader("X-Content-Type-Options", "nosniff");
        response.end(content);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return { url: `http://127.0.0.1:${server.address().port}${PREFIX}`, close: () => server.close() };
}
