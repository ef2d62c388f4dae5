// Opens 1,000 connections at once. When each has its own message back, all are still open; then closes them.
"use strict";

const { connect, report } = require("./connection");

const COUNT = 1000;

report(async () => {
    const sockets = Array.from({ length: COUNT }, () => connect());
    await Promise.all(sockets.map((socket) => socket.opened));
    sockets.forEach((socket, i) => socket.send(`message of ${i}`));
    const answers = await Promise.all(sockets.map((socket) => socket.next()));
    const echoed = answers.filter(([data], i) => data === `message of ${i}`).length;
    const open = sockets.filter((socket) => socket.readyState === socket.constructor.OPEN).length;
    for (const socket of sockets) socket.close(1000);
    const ends = await Promise.all(sockets.map((socket) => socket.closed));
    return { echoed, open, closed: ends.filter(({ code }) => code === 1000).length };
});
