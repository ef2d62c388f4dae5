// npm ws as a client that carries out a plan (peers.py says what may be in it):
//     node client.js URL CA-FILE PLAN-FILE
"use strict";

const fs = require("fs");
const { once } = require("events");
const { opened, report, same } = require("../clients/connection");

const plan = JSON.parse(fs.readFileSync(process.argv[4]));
const wrong = [];
let socket;

const content = (kind, path) => {
    const bytes = fs.readFileSync(path);
    return kind === "text" ? bytes.toString() : bytes;
};
const numbered = (i) => {
    const text = `message ${i} `.repeat(i % 7 + 1);
    return i % 2 ? Buffer.from(text) : text;
};
const expect = async (sent, what) => {
    const got = await socket.next();
    if (got[1] !== (typeof sent === "string" ? "text" : "binary") || !same(got, sent)) wrong.push(what);
};

const steps = {
    send: (kind, path) => socket.send(content(kind, path)),
    expect: (kind, path) => expect(content(kind, path), path),
    fragments: (kind, paths) => paths.forEach((path, i) =>
        socket.send(fs.readFileSync(path), { binary: kind === "binary", fin: i === paths.length - 1 })),
    ask: (...words) => socket.send(JSON.stringify(words)),
    burst: async (count) => {
        for (let i = 0; i < count; i++) socket.send(numbered(i));
        for (let i = 0; i < count; i++) await expect(numbered(i), `burst ${i}`);
    },
    hear: async (count) => {
        for (let i = 0; i < count; i++) await expect(numbered(i), `heard ${i}`);
    },
    ping: async (text) => {
        socket.ping(text);
        const [data] = await once(socket, "pong");
        if (data.toString() !== text) wrong.push(`pong ${data}`);
    },
    close: (code, reason) => socket.close(code, reason),
    closed: () => {},
};

report(async () => {
    const { protocols, compression } = plan;
    socket = await opened({ protocols, perMessageDeflate: compression });
    for (const [name, ...args] of plan.steps) await steps[name](...args);
    const end = await socket.closed;
    return { protocol: socket.protocol || null, extensions: socket.extensions, wrong, end };
});
