// Client of the conformance suite on npm's ws: node ws.js URL. It asks URL/cases for cases, a message for each,
// and echoes on each connection until it ends.
"use strict";

const { WebSocket } = require("ws");

const MESSAGE = 16 * 1024 * 1024;

// The suite's words for what to offer, in those of ws.
function deflate(compression) {
    if (!compression) return false;
    const { takeover, window_bits: bits } = compression;
    return {
        threshold: 0,
        ...(takeover === false && { serverNoContextTakeover: true, clientNoContextTakeover: true }),
        ...(bits && { serverMaxWindowBits: bits, clientMaxWindowBits: bits }),
    };
}

function run(order) {
    const socket = new WebSocket(order.url, order.protocols, {
        perMessageDeflate: deflate(order.compression),
        maxPayload: order.profile === "limit" ? 65536 : MESSAGE,
        maxFragments: order.profile === "limit" ? 16 : 65536,
    });
    socket.on("message", (data, isBinary) => {
        const command = order.profile === "close" && /^close (\d+) ?(.*)$/.exec(data.toString());
        if (command) {
            socket.send("closing");
            socket.close(Number(command[1]), command[2]);
        } else if (socket.readyState === WebSocket.OPEN) {
            socket.send(data, { binary: isBinary });
        }
    });
    socket.on("error", () => {}); // the suite judges by what it sees on the wire
}

const control = new WebSocket(process.argv[2] + "/cases");
control.on("message", (data) => run(JSON.parse(data)));
control.on("error", (error) => {
    console.error(error.message);
    process.exitCode = 1;
});
