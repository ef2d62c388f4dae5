// Echoes all the lengths at which a frame's form changes, each when the one before is back; then many
// messages at once. Reports which came back differently.
"use strict";

const { opened, report, content, same } = require("./connection");

const LENGTHS = [0, 1, 125, 126, 65535, 65536, 1000000];

function both(length) {
    return [content.text(length), content.binary(length)];
}

report(async () => {
    const socket = await opened();
    const wrong = [];
    const check = async (sent, what) => {
        if (!same(await socket.next(), sent)) wrong.push(what);
    };

    const single = LENGTHS.flatMap(both);
    for (const [i, message] of single.entries()) {
        socket.send(message);
        await check(message, `message ${i}`);
    }

    // No two of a kind are equal, so that none can stand for another.
    const crowd = Array.from({ length: 500 }, (_, i) => i).flatMap(both);
    for (const message of crowd) socket.send(message);
    for (const [i, message] of crowd.entries()) await check(message, `message ${i} of many`);

    socket.close(1000);
    return { single: single.length, crowd: crowd.length, wrong, end: await socket.closed };
});
