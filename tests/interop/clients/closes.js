// Closing handshakes begun by the client and by the server, each with a connection of its own. Reports
// for each what this side saw, and what the server's `close` was told.
"use strict";

const { opened, report } = require("./connection");

const LONGEST = "é".repeat(61) + "e"; // 123 bytes

const BY_CLIENT = [[], [1000], [1000, "bye"], [1001, LONGEST], [1003], [1007], [1008], [1009], [1010],
                   [1011], [1012], [1013], [1014], [3000, "registered"], [4999, "private"]];
const BY_SERVER = BY_CLIENT.filter(([code]) => code !== 1010); // which is a client's alone

report(async () => {
    const ends = await opened({ path: "/ends" });
    await ends.next();
    const by = async (begin) => {
        const socket = await opened({ path: "/", protocols: ["talk.v2"] });
        begin(socket);
        const here = await socket.closed;
        return { here, there: JSON.parse((await ends.next())[0]) };
    };
    const client = [];
    for (const asked of BY_CLIENT) client.push({ asked, ...await by((s) => s.close(...asked)) });
    const server = [];
    for (const asked of BY_SERVER)
        server.push({ asked, ...await by((s) => s.send(JSON.stringify(["close", ...asked]))) });
    const aborted = await by((socket) => socket.terminate());
    ends.close();
    return { client, server, aborted };
});
