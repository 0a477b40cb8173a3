"""Chromium without a window, by its debugging socket (the DevTools protocol)."""

import asyncio
import contextlib
import itertools
import json
import re
import tempfile

import websockets


class Page:
    """A tab. What the browser tells of it meanwhile is in `events`, in order: (method, parameters)."""

    def __init__(self, socket, session):
        self.socket = socket
        self.session = session
        self.events = []

    async def call(self, method, **parameters):
        return await self.socket.call(method, self.session, **parameters)

    async def evaluate(self, expression):
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                                 returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["result"].get("description", "failed").splitlines()[0])
        return result["result"]["value"]

    async def event(self, method):
        """Waits until it has happened."""
        while not any(name == method for name, _ in self.events):
            await self.socket.receive()

    def parameters_of(self, method):
        return [parameters for name, parameters in self.events if name == method]


class Browser:
    def __init__(self, socket):
        self.socket = socket
        self.ids = itertools.count(1)
        self.answers = {}
        self.pages = {}

    async def receive(self):
        message = json.loads(await self.socket.recv())
        if "id" in message:
            self.answers[message["id"]] = message
        elif page := self.pages.get(message.get("sessionId")):
            page.events.append((message["method"], message["params"]))

    async def call(self, method, session=None, **parameters):
        number = next(self.ids)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        await self.socket.send(json.dumps(message))
        while number not in self.answers:
            await self.receive()
        answer = self.answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    async def open(self):
        target = await self.call("Target.createTarget", url="about:blank")
        session = (await self.call("Target.attachToTarget", flatten=True, **target))["sessionId"]
        page = self.pages[session] = Page(self, session)
        return page


async def address_of(process):
    async for line in process.stderr:
        if found := re.search(rb"DevTools listening on (\S+)", line):
            return found.group(1).decode()
    raise RuntimeError("chromium does not start")


@contextlib.asynccontextmanager
async def chromium(*flags):
    """A Browser with a profile of its own; it ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # Its own sandbox needs privileges that containers do not give; the page is ours.
        process = await asyncio.create_subprocess_exec(
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", *flags, "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
        try:
            async with websockets.connect(await address_of(process), max_size=None) as socket:
                browser = Browser(socket)
                yield browser
                await browser.call("Browser.close")
        finally:
            if process.returncode is None:
                try:
                    await asyncio.wait_for(process.communicate(), 5)
                except asyncio.TimeoutError:
                    process.kill()
                    await process.communicate()
