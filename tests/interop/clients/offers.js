// What comes of offers of subprotocols, and of permessage-deflate.
"use strict";

const { connect, opened, report } = require("./connection");

async function negotiate(protocols, perMessageDeflate) {
    const socket = await opened({ path: "/", protocols, perMessageDeflate });
    socket.send(JSON.stringify(["offered"]));
    const there = JSON.parse((await socket.next())[0]);
    socket.close();
    return { here: { protocol: socket.protocol, extensions: socket.extensions }, there };
}

report(async () => ({
    first: await negotiate(["talk.v1", "talk.v2"], false),
    second: await negotiate(["other", "talk.v1"], false),
    nothing: await negotiate([], false),
    // RFC 6455 section 4.1: a server may choose none, and this client then takes no connection.
    unknown: await connect({ path: "/", protocols: ["other"] }).opened.catch((error) => error.message),
    compressed: await negotiate([], true),
}));
