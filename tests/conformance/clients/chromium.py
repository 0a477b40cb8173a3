#!/usr/bin/python3
"""Chromium without a window: chromium.py URL on|off

Runs echo.js in an empty page."""

import asyncio
import json
import pathlib
import sys

from browser import chromium

DEADLINE_S = 60
ECHO = pathlib.Path(__file__).with_name("echo.js").read_text(encoding="utf-8")


async def run(url, compression):
    async with chromium() as browser:
        page = await browser.open()
        compressed = "true" if compression == "on" else "false"
        count = await page.evaluate(f"{ECHO}; echoAll({json.dumps(url)}, {compressed})")
        print(f"{count} echoes, close")


try:
    asyncio.run(asyncio.wait_for(run(*sys.argv[1:3]), DEADLINE_S))
except (OSError, RuntimeError, asyncio.TimeoutError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
