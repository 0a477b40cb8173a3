#!/usr/bin/python3
"""Chromium without a window: chromium.py URL on|off

Runs echo.js in an empty page, through the browser's debugging socket."""

import asyncio
import itertools
import json
import pathlib
import re
import sys
import tempfile

import websockets

DEADLINE_S = 60
ECHO = pathlib.Path(__file__).with_name("echo.js").read_text(encoding="utf-8")


class Browser:
    def __init__(self, socket):
        self.socket = socket
        self.ids = itertools.count(1)

    async def call(self, method, session=None, **parameters):
        number = next(self.ids)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        await self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(await self.socket.recv())
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    async def evaluate(self, expression):
        target = await self.call("Target.createTarget", url="about:blank")
        session = (await self.call("Target.attachToTarget", flatten=True, **target))["sessionId"]
        result = await self.call("Runtime.evaluate", session, expression=expression,
                                 awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["result"].get("description", "failed").splitlines()[0])
        return result["result"]["value"]


async def address_of(process):
    async for line in process.stderr:
        if found := re.search(rb"DevTools listening on (\S+)", line):
            return found.group(1).decode()
    raise RuntimeError("chromium does not start")


async def run(url, compression, profile):
    # Its own sandbox needs privileges that containers do not give; the page is ours.
    process = await asyncio.create_subprocess_exec(
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    try:
        async with websockets.connect(await address_of(process), max_size=None) as socket:
            browser = Browser(socket)
            compressed = "true" if compression == "on" else "false"
            count = await browser.evaluate(f"{ECHO}; echoAll({json.dumps(url)}, {compressed})")
            print(f"{count} echoes, close")
            await browser.call("Browser.close")
    finally:
        if process.returncode is None:
            try:
                await asyncio.wait_for(process.communicate(), 5)
            except asyncio.TimeoutError:
                process.kill()
                await process.communicate()


async def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        await asyncio.wait_for(run(*sys.argv[1:3], profile), DEADLINE_S)


try:
    asyncio.run(main())
except (OSError, RuntimeError, asyncio.TimeoutError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
