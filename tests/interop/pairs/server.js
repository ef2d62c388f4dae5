// npm ws as a server that echoes at /echo and does at /talk what it is asked to (peers.py):
//     node server.js OPTIONS
// Prints "listening PORT", and for each connection at its end "end " and how it was.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const { WebSocketServer } = require("ws");

const { protocols, compression, tls } = JSON.parse(process.argv[2]);

const numbered = (i) => {
    const text = `message ${i} `.repeat(i % 7 + 1);
    return i % 2 ? Buffer.from(text) : text;
};
const asked = {
    close: (socket, ...args) => socket.close(...args),
    ping: (socket, data) => socket.ping(data),
    many: (socket, count) => {
        for (let i = 0; i < count; i++) socket.send(numbered(i));
    },
    fragments: (socket, kind, paths) => paths.forEach((path, i) =>
        socket.send(fs.readFileSync(path), { binary: kind === "binary", fin: i === paths.length - 1 })),
};

const server = tls
    ? https.createServer({ cert: fs.readFileSync(tls.cert), key: fs.readFileSync(tls.key) })
    : http.createServer();
const sockets = new WebSocketServer({
    server,
    perMessageDeflate: compression,
    maxPayload: 4 << 20,
    handleProtocols: (offered) => protocols.find((name) => offered.has(name)) ?? false,
});
sockets.on("connection", (socket, request) => {
    socket.on("message", (data, isBinary) => {
        if (request.url === "/echo") return socket.send(data, { binary: isBinary });
        const [name, ...args] = JSON.parse(data);
        return asked[name](socket, ...args);
    });
    socket.on("close", (code, reason) => console.log(`end ${JSON.stringify([code, reason.toString()])}`));
});
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
