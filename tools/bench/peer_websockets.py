"""An echo server on Debian's python3-websockets: PORT, and "deflate" for permessage-deflate."""

import asyncio
import sys

import websockets


async def echo(connection, *_path):
    async for message in connection:
        await connection.send(message)


async def serve(port, compression):
    async with websockets.serve(echo, "127.0.0.1", port, compression=compression, max_size=1 << 24):
        await asyncio.Future()


asyncio.run(serve(int(sys.argv[1]), "deflate" if sys.argv[2:] == ["deflate"] else None))
