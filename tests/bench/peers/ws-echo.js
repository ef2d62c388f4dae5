// Echo server on npm's ws. Prints "listening ws://127.0.0.1:PORT" when ready; ends by a signal.
// Compression is off, as it is in the other servers that are measured.
"use strict";

const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });

server.on("listening", () => {
    console.log(`listening ws://127.0.0.1:${server.address().port}`);
});

server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    // A client that goes away in the middle of a frame is no news to a benchmark.
    socket.on("error", () => socket.terminate());
});
