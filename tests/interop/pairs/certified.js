// npm ws with a certificate of its own: node certified.js URL CA-FILE [CERT KEY]. Prints what comes back of "hello".
"use strict";

const fs = require("fs");
const WebSocket = require("ws");

const [url, ...files] = process.argv.slice(2);
const [ca, cert, key] = files.map((file) => fs.readFileSync(file));
const socket = new WebSocket(url, { ca, cert, key, perMessageDeflate: false });
socket.on("open", () => socket.send("hello"));
socket.on("message", (data) => {
    console.log(data.toString());
    socket.close();
});
socket.on("error", (error) => {
    console.error(error.message);
    process.exit(1);
});
