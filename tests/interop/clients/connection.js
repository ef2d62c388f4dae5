// What the clients of this folder share. Each is started as
//     node CLIENT.js URL CA-FILE
// and prints what it found as one line of JSON. A connection that fails ends it with status 1.
"use strict";

const fs = require("fs");
const WebSocket = require("ws");

const [url, authority] = process.argv.slice(2);

// A WebSocket to a path of the server, or to the URL itself; over TLS only with a certificate of the
// authority. `inbox` has the messages that nobody has taken yet, as [data, kind].
function connect({ path, protocols = [], ...options } = {}) {
    const target = path ? new URL(path, url).href : url;
    const socket = new WebSocket(target, protocols, { ca: fs.readFileSync(authority), ...options });
    const inbox = [];
    const takers = [];
    socket.on("message", (data, isBinary) => {
        const message = isBinary ? [data, "binary"] : [data.toString(), "text"];
        if (takers.length) takers.shift().resolve(message);
        else inbox.push(message);
    });
    // The next message; rejected when the connection ends before.
    socket.next = () => new Promise((resolve, reject) => {
        if (inbox.length) resolve(inbox.shift());
        else takers.push({ resolve, reject });
    });
    socket.closed = new Promise((resolve) => socket.on("close", (code, reason) => {
        for (const taker of takers) taker.reject(new Error(`closed with ${code} ${reason}`));
        resolve({ code, reason: reason.toString() });
    }));
    socket.opened = new Promise((resolve, reject) => socket.once("open", resolve).on("error", reject));
    return socket;
}

async function opened(options) {
    const socket = connect(options);
    await socket.opened;
    return socket;
}

function report(work) {
    work().then(
        (result) => process.stdout.write(`${JSON.stringify(result)}\n`),
        (error) => {
            console.error(error.message);
            process.exit(1);
        },
    );
}

// Content of that many bytes: text of two-byte characters as far as they fit, binary of all byte values.
const content = {
    text: (length) => "é".repeat(length >> 1) + "e".repeat(length & 1),
    binary: (length) => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255)),
};

// Is that message what was sent?
function same([data, kind], sent) {
    return kind === "text" ? data === sent : Buffer.isBuffer(sent) && data.equals(sent);
}

module.exports = { connect, opened, report, content, same };
