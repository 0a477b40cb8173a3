"""Servers to hold against each other: bare loops, epulse-ws with each engine, peers that the caller
names; and what each of them offers."""

import dataclasses
import re
import shlex
import subprocess

from children import BenchError

WORKERS = "--workers 1"


@dataclasses.dataclass(frozen=True)
class Offer:
    """Something that a server may do, and how it is asked to."""
    scheme: str = "ws"
    path: str = "/"
    load: tuple = ()  # options of epulse-load
    ours: str = ""  # options of epulse-ws
    compressed: bool = False  # all connections are to agree to it


OFFERS = {
    "echo": Offer(),
    "tls": Offer(scheme="wss", load=("--tls-insecure",), ours="--tls-cert {cert} --tls-key {key}"),
    "topic": Offer(path="/topic/x", load=("--broadcast",)),
    "deflate": Offer(load=("--compression",), ours="--compression shared", compressed=True),
}


class Contender:
    """A server that can be started: its name, and a command with {port} for each of its offers."""

    starts = True

    def __init__(self, name, commands, raw=False):
        self.name, self._commands, self._raw = name, commands, raw

    def offers(self, offer):
        return offer in self._commands

    def command(self, offer, **places):
        """{port}, {cert} and {key} are filled in."""
        parts = shlex.split(self._commands[offer])
        for place, value in places.items():
            parts = [part.replace(f"{{{place}}}", str(value)) for part in parts]
        return parts

    def url(self, offer, port):
        scheme = "tcp" if self._raw else OFFERS[offer].scheme
        return f"{scheme}://127.0.0.1:{port}{OFFERS[offer].path}"


def ours(bin_dir):
    """The bare loops, then epulse-ws with each engine that this build knows; and what it does not."""
    bare = [Contender(f"bare {engine}", {"echo": f"{bin_dir}/bare_{program} {{port}}"}, raw=True)
            for engine, program in (("epoll", "epoll"), ("io_uring", "uring"))]
    found, missing = engines(bin_dir)
    return [*bare, *found], missing


def engines(bin_dir):
    """epulse-ws with each engine that this build knows; and the names of those it does not."""
    said = subprocess.run([f"{bin_dir}/epulse-ws", "--help"], capture_output=True, text=True,
                          check=False).stdout
    if "--engine" not in said:
        return [_epulse_ws(bin_dir, "epoll", "")], ["epulse-ws io_uring"]
    return [ours_on(bin_dir, engine) for engine in ("epoll", "io_uring")], []


def ours_on(bin_dir, engine):
    return _epulse_ws(bin_dir, engine, f"--engine {engine}")


def _epulse_ws(bin_dir, engine, options):
    command = f"{bin_dir}/epulse-ws --listen 127.0.0.1:{{port}} {WORKERS} {options}"
    return Contender(f"epulse-ws {engine}",
                     {name: f"{command} {offer.ours}" for name, offer in OFFERS.items()})


class Remote(Contender):
    """A server that runs already, as `url` says. Without its `pid` it has no CPU time."""

    starts = False

    def __init__(self, name, offer, url, pid):
        super().__init__(name, {offer: ""})
        self.address, self.pid = url, pid


def peers(setting):
    """From "uws=/path/to/echo {port}; uws:tls=/path/to/echo {port} {cert} {key}; other=..."; instead
    of a command it may be the URL of a server that runs already, "there=ws://127.0.0.1:9002/,1234",
    with the number of its process."""
    commands, found = {}, []
    for entry in filter(str.strip, setting.split(";")):
        match = re.fullmatch(r"\s*([\w.+-]+)(?::(\w+))?\s*=\s*(\S.*?)\s*", entry)
        url = match and re.fullmatch(r"(wss?://[^\s,]+)(?:,(\d+))?", match[3])
        if not match or not url and "{port}" not in match[3]:
            raise BenchError(f"PEERS: '{entry.strip()}' is not NAME=COMMAND or NAME:OFFER=COMMAND "
                             "with {port} in it, nor NAME=URL[,PID]")
        offer = match[2] or ("tls" if url and url[1].startswith("wss") else "echo")
        if offer not in OFFERS:
            raise BenchError(f"PEERS: '{offer}' is not one of {', '.join(OFFERS)}")
        if url:
            found.append(Remote(match[1], offer, url[1], int(url[2]) if url[2] else None))
        else:
            commands.setdefault(match[1], {})[offer] = match[3]
    return [*(Contender(name, by_offer) for name, by_offer in commands.items()), *found]
