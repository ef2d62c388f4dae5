// Server of the conformance suite on npm's ws: node ws.js PORT. A path for each profile of the README.
"use strict";

const http = require("http");
const { WebSocketServer } = require("ws");

const MESSAGE = 16 * 1024 * 1024;

function echo(socket, data, isBinary) {
    socket.send(data, { binary: isBinary });
}

function closing(socket, data, isBinary) {
    const command = /^close (\d+) ?(.*)$/.exec(data.toString());
    if (!command) {
        echo(socket, data, isBinary);
        return;
    }
    socket.send("closing");
    socket.close(Number(command[1]), command[2]);
}

function profile(options, answer = echo) {
    const limits = { maxPayload: MESSAGE, maxFragments: 65536 };
    const server = new WebSocketServer({ noServer: true, handleProtocols: () => false, ...limits, ...options });
    server.on("connection", (socket) => {
        socket.on("message", (data, isBinary) => answer(socket, data, isBinary));
        socket.on("error", () => {}); // the suite judges by what it sees on the wire
    });
    return server;
}

const choose = (offered) => ["chat.v2", "chat"].find((name) => offered.has(name)) || false;
const profiles = {
    "/": profile({}),
    "/deflate": profile({ perMessageDeflate: { serverNoContextTakeover: true, threshold: 64 } }),
    "/takeover": profile({ perMessageDeflate: { threshold: 64 } }),
    "/small": profile({ perMessageDeflate: { serverMaxWindowBits: 9, clientMaxWindowBits: 9, threshold: 64 } }),
    "/protocols": profile({ handleProtocols: choose }),
    "/close": profile({}, closing),
    "/limit": profile({ maxPayload: 65536, maxFragments: 16, perMessageDeflate: { threshold: 64 } }),
};

const server = http.createServer((request, response) => {
    response.writeHead(404, { "Content-Length": 0 });
    response.end();
});
server.on("upgrade", (request, socket, head) => {
    const found = profiles[request.url.replace(/^http:\/\/[^/]*/, "").split("?")[0]];
    if (!found) {
        socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    found.handleUpgrade(request, socket, head, (webSocket) => found.emit("connection", webSocket));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
