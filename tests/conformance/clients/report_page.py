#!/usr/bin/python3
"""The page of `epulse report --html` in Chromium: report_page.py FILE [SCREENSHOT]

Its charts are drawn, the console stays empty, and nothing but the file itself is asked for."""

import asyncio
import base64
import io
import json
import pathlib
import sys

from browser import chromium
from PIL import Image

DEADLINE_S = 60
# Of each kind of chart, where it is on the page, and how much of its area is drawn, at least.
CHARTS = {"latency": ("svg[id^=heat-]", 0.02), "depth": ("svg#depth", 0.002),
          "stages": ("svg[id^=stages-]", 0.5)}
WIDTH = 1000
# Where each chart is once all are unfolded, and how many shapes it has besides its grid.
FIND = """
document.querySelectorAll('details').forEach(details => details.open = true);
new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() =>
  [...document.querySelectorAll(%s)].map(svg => {
    const box = svg.getBoundingClientRect();
    const shapes = [...svg.querySelectorAll('path:not(.grid), polyline, rect:not(.hover)')];
    return {id: svg.id, x: box.x + scrollX, y: box.y + scrollY, width: box.width,
            height: box.height, shapes: shapes.length};
  }))
"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"


def drawn_share(picture, chart, background):
    """Of the chart's area, what differs from the page's background by more than a grid line does."""
    part = picture.crop((round(chart["x"]), round(chart["y"]), round(chart["x"] + chart["width"]),
                         round(chart["y"] + chart["height"])))
    drawn = sum(count for count, colour in part.getcolors(part.width * part.height)
                if max(abs(a - b) for a, b in zip(colour, background)) > 40)
    return drawn / max(part.width * part.height, 1)


async def look_at(page, selector, least, picture, background):
    charts = await page.evaluate(FIND % json.dumps(selector))
    if not charts:
        raise RuntimeError(f"no chart {selector}")
    for chart in charts:
        share = drawn_share(picture, chart, background)
        if chart["shapes"] == 0 or share < least:
            raise RuntimeError(f"chart {chart['id']} is blank: {chart['shapes']} shapes, "
                               f"{100 * share:.2f} % of its area drawn")
    return len(charts)


async def screenshot(page):
    size = (await page.call("Page.getLayoutMetrics"))["cssContentSize"]
    shot = await page.call("Page.captureScreenshot", captureBeyondViewport=True,
                           clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})
    return base64.b64decode(shot["data"])


def complaints(page):
    said = [entry["entry"]["text"] for entry in page.parameters_of("Log.entryAdded")]
    said += [str(call["args"]) for call in page.parameters_of("Runtime.consoleAPICalled")]
    said += [thrown["exceptionDetails"]["text"] for thrown in page.parameters_of("Runtime.exceptionThrown")]
    return said


async def run(file, keep=None):
    url = pathlib.Path(file).resolve().as_uri()
    async with chromium(f"--window-size={WIDTH},800", "--force-color-profile=srgb") as browser:
        page = await browser.open()
        for domain in ("Page", "Network", "Log", "Runtime"):
            await page.call(f"{domain}.enable")
        await page.call("Page.navigate", url=url)
        await page.event("Page.loadEventFired")
        await page.evaluate(FIND % '"svg"')  # all of them open before the picture is taken
        shot = await screenshot(page)
        if keep:
            pathlib.Path(keep).write_bytes(shot)
        picture = Image.open(io.BytesIO(shot)).convert("RGB")
        background = await page.evaluate(BACKGROUND)
        counts = [f"{await look_at(page, *chart, picture, background)} of {kind}"
                  for kind, chart in CHARTS.items()]
        asked = [request["request"]["url"] for request in page.parameters_of("Network.requestWillBeSent")]
        if asked != [url]:
            raise RuntimeError(f"the page asks for {asked}")
        if said := complaints(page):
            raise RuntimeError(f"the console says {said}")
        print(f"charts drawn: {', '.join(counts)}; console empty, one request")


try:
    asyncio.run(asyncio.wait_for(run(*sys.argv[1:3]), DEADLINE_S))
except (OSError, RuntimeError, asyncio.TimeoutError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
