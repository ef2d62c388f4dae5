// Sends messages in fragments of many sizes, with a Ping between two of them. Reports which came back
// differently, and whether the Pong came before the message that it had interrupted.
"use strict";

const { opened, report, content, same } = require("./connection");

function cut(bytes, size) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
    return pieces;
}

const text = Buffer.from(content.text(1001)); // pieces of one byte cut its characters in two
const none = Buffer.alloc(0);
const large = content.binary(1000000);

const MESSAGES = {
    "one byte each": { kind: "text", pieces: cut(text, 1).slice(0, 1000), whole: text.subarray(0, 1000) },
    "empty ones between": { kind: "text", pieces: [none, text, none, none, text, none],
                            whole: Buffer.concat([text, text]) },
    "only empty ones": { kind: "binary", pieces: [none, none], whole: none },
    "large": { kind: "binary", pieces: cut(large, 9999), whole: large },
    "as many as a message may have": { kind: "binary", pieces: cut(large.subarray(0, 1024), 1),
                                       whole: large.subarray(0, 1024) },
};

report(async () => {
    const socket = await opened();
    const events = [];
    socket.on("pong", (data) => events.push(`pong ${data}`));
    socket.on("message", () => events.push("message"));
    const wrong = [];
    for (const [name, { kind, pieces, whole }] of Object.entries(MESSAGES)) {
        pieces.forEach((piece, i) => {
            const fin = i === pieces.length - 1;
            socket.send(piece, { binary: kind === "binary", compress: false, fin });
            if (i === 0) socket.ping(name);
        });
        if (!same(await socket.next(), kind === "text" ? whole.toString() : whole)) wrong.push(name);
    }
    socket.close(1000);
    await socket.closed;
    return { names: Object.keys(MESSAGES), wrong, events };
});
