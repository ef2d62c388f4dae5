// Pings the server, is pinged by a handler, and answers the server's own pings.
"use strict";

const { once } = require("events");
const { opened, report } = require("./connection");

const PAYLOADS = ["", "a", "é".repeat(62) + "e"]; // up to the 125 bytes of a control frame

report(async () => {
    const socket = await opened({ path: "/", protocols: ["talk.v1"] });
    const pongs = [];
    for (const payload of PAYLOADS) {
        socket.ping(payload);
        pongs.push((await once(socket, "pong"))[0].toString());
    }
    const pings = [];
    for (const payload of PAYLOADS) {
        socket.send(JSON.stringify(["ping", payload]));
        pings.push((await once(socket, "ping"))[0].toString());
    }
    socket.close();

    const pinged = await opened({ path: "/pinged" });
    for (let i = 0; i < 5; i++) await once(pinged, "ping");
    pinged.send("still here");
    const [after] = await pinged.next();
    pinged.close();
    return { payloads: PAYLOADS, pongs, pings, after };
});
