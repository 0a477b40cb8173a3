#!/usr/bin/python3
"""epulse-ws and epulse-load against python3-websockets, with permessage-deflate both ways.

interop_websockets.py EPULSE_WS EPULSE_LOAD; exits 77, which ctest takes for skipped, when the package
is not installed."""

import asyncio
import json
import os
import random
import re
import sys

try:
    import websockets
    from websockets.extensions.permessage_deflate import (
        ClientPerMessageDeflateFactory as ClientDeflate,
        ServerPerMessageDeflateFactory as ServerDeflate,
    )
except ImportError:
    print("skipped: python3-websockets is not installed (tools/setup test)")
    sys.exit(77)

SIZES = (0, 1, 125, 126, 1000, 4096, 65535, 65536, 131072)
DEADLINE_S = 30

# What a client offers, as keyword arguments of its factory.
OFFERS = (
    {},
    {"client_max_window_bits": None},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_no_context_takeover": True, "server_max_window_bits": 12},
)
MODES = (
    ["--compression", "off"],
    ["--compression", "shared", "--compression-min-bytes", "0"],
    ["--compression", "dedicated", "--compression-min-bytes", "0"],
    ["--compression", "dedicated", "--compression-window-bits", "15", "--compression-mem-level", "9"],
)
ANSWERS = (
    {},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 10, "client_max_window_bits": 9},
)


def text(size):
    """Words like those of real messages, with some that are not ASCII; `size` characters."""
    words = ("price", "42.5", "größer", "€", "symbol", "😀", "buy", "sell")
    out = ""
    while len(out) < size:
        out += random.choice(words) + " "
    return out[:size]


async def echo_all(client):
    for size in SIZES:
        for message in (text(size), text(size), random.randbytes(size)):
            await client.send(message)
            assert await client.recv() == message, f"echo of {size} differs"
    fragments = [text(300) for _ in range(20)]
    await client.send(fragments)
    assert await client.recv() == "".join(fragments), "echo of fragments differs"
    await asyncio.wait_for(await client.ping(), DEADLINE_S)


async def start(command):
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    line = (await server.stdout.readline()).decode()
    return server, re.search(r"listening on (\S+:\d+)", line).group(1)


async def our_server(program):
    for mode in MODES:
        server, address = await start(
            [program, "--listen", "127.0.0.1:0", "--subprotocol", "v2", *mode])
        try:
            for offer in OFFERS:
                async with websockets.connect(
                        f"ws://{address}/", compression=None, extensions=[ClientDeflate(**offer)],
                        subprotocols=["v3", "v2"], max_size=None) as client:
                    agreed = [extension.name for extension in client.extensions]
                    expected = [] if mode[1] == "off" else ["permessage-deflate"]
                    assert agreed == expected, f"{mode} {offer}: agreed on {agreed}"
                    assert client.subprotocol == "v2", client.subprotocol
                    await asyncio.wait_for(echo_all(client), DEADLINE_S)
                assert client.close_code == 1000, client.close_code
            print(f"server {' '.join(mode)}: {len(OFFERS)} offers")
        finally:
            server.terminate()
            await server.wait()


async def echo(connection, _path=None):
    async for message in connection:
        await connection.send(message)


async def our_client(program):
    for answer in ANSWERS:
        async with websockets.serve(echo, "127.0.0.1", 0, compression=None,
                                    extensions=[ServerDeflate(**answer)]) as server:
            port = server.sockets[0].getsockname()[1]
            load = await asyncio.create_subprocess_exec(
                program, f"ws://127.0.0.1:{port}/", "--compression", "-c", "5", "-r", "200", "-d", "1",
                "-s", "3000", "-j", stdout=asyncio.subprocess.PIPE)
            out, _ = await asyncio.wait_for(load.communicate(), DEADLINE_S)
            summary = json.loads(out)
            assert load.returncode == 0, summary
            assert summary["compressed"] == 5 and summary["received"] == 200, summary
            print(f"client, answered {answer}: 200 echoes")


async def main():
    random.seed(7692)
    await our_server(os.path.abspath(sys.argv[1]))
    await our_client(os.path.abspath(sys.argv[2]))


asyncio.run(main())
