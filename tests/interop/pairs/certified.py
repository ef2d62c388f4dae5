"""Python websockets with a certificate of its own: certified.py URL CA-FILE [CERT KEY].

Prints what comes back of "hello"."""

import asyncio
import ssl
import sys

import websockets


async def main(url, authority, *pair):
    context = ssl.create_default_context(cafile=authority)
    if pair:
        context.load_cert_chain(*pair)
    async with websockets.connect(url, ssl=context, compression=None) as socket:
        await socket.send("hello")
        print(await socket.recv())

asyncio.run(main(*sys.argv[1:]))
