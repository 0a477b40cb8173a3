"""The cases of the suite: what is measured, and who takes part."""

import contextlib
import dataclasses
import os

import contenders
from children import LOAD_CPU, SERVER_CPU, BenchError, read, wait_for
from contest import Case, Entrant
from tracers import Epulse

ENGINES, LISTENERS, PROBES, TUNER = "engines", "listeners", "probes", "tuner"
MEMORY, HUNDRED_THOUSAND = "memory", "hundred-thousand"


@dataclasses.dataclass(frozen=True)
class SuiteCase(Case):
    who: str = ENGINES  # takes part
    in_flight_bytes: int = 0  # that the kernel holds, in each direction


def echo(size, size_text, connections, window):
    return SuiteCase(f"echo, {size_text}, {connections:,} connections, window {window}",
                     ("-c", str(connections), "-s", str(size), "--window", str(window)),
                     in_flight_bytes=size * connections * window)


def _on_hundred(title, *load, **how):
    return SuiteCase(title, ("-c", "100", *load), **how)


CASES = {
    **{f"echo-{name}-{connections}-{window}": echo(size, text, connections, window)
       for size, name, text in ((20, "20", "20 B"), (16384, "16k", "16 KiB"))
       for connections in (1, 100, 1000, 10000) for window in (1, 32)},
    "tls": _on_hundred("echo over TLS, 20 B, 100 connections", offer="tls"),
    "tls-16k": _on_hundred("echo over TLS, 16 KiB, 100 connections", "-s", "16384", offer="tls"),
    "deflate": _on_hundred("echo, permessage-deflate, 256 B of text, 100 connections", "-s", "256",
                           offer="deflate"),
    "broadcast": SuiteCase("broadcast, 20 B to 1,000 subscribers", ("-c", "1000"), "deliveries", "topic"),
    "handshakes": SuiteCase("handshakes: connect, 101, close; 50 at a time", ("-c", "50", "--handshakes"),
                            "handshakes"),
    LISTENERS: _on_hundred("how two workers listen: echo of 20 B, 100 connections", who=LISTENERS),
    PROBES: _on_hundred("probes off and on: echo of 20 B, 100 connections", who=PROBES),
    TUNER: _on_hundred("tuner off, observing, applying: echo of 20 B, 100 connections", who=TUNER),
}
EXTRAS = {MEMORY: "memory of 10,000 idle connections",
          HUNDRED_THOUSAND: "memory of 100,000 idle connections"}
QUICK = ("echo-20-1-1", "echo-20-100-1", "echo-20-100-32", "echo-16k-100-1", "tls", "deflate",
         "broadcast", "handshakes", LISTENERS, PROBES)


def listeners(bin_dir):
    """The founding article's three ways for several threads to accept. Two workers need two CPUs, so
    the load shares one of them."""
    names = {"single": "single listener", "reuseport": "SO_REUSEPORT",
             "pinned": "SO_REUSEPORT, pinned"}
    return [Entrant(name, contenders.Contender(
        name, {"echo": f"{bin_dir}/bare_listeners {{port}} 2 {how}"}, raw=True), (SERVER_CPU, LOAD_CPU))
        for how, name in names.items()]


def probes(bench):
    @contextlib.contextmanager
    def attached(server):
        tracer = Epulse(bench.children, bench.bin_dir, bench.scratch)
        child = tracer.attach(server.pid)
        try:
            yield
        finally:
            tracer.detach(child)

    server = contenders.ours_on(bench.bin_dir, "epoll")
    return [Entrant("probes off", server), Entrant("probes on", server, beside=attached)]


def tuner(bench):
    def agent(mode):
        @contextlib.contextmanager
        def at_work(server):
            log = os.path.join(bench.scratch, f"epulsed.{server.port}.log")
            config = os.path.join(bench.scratch, "epulsed.toml")
            with open(config, "w"):
                pass  # its defaults, and nothing of this host's
            with open(log, "w") as file:
                child = bench.children.start(
                    [f"{bench.bin_dir}/epulsed", "-p", str(server.pid), "--config", config, "--mode", mode,
                     "--state-dir", os.path.join(bench.scratch, "state")], [LOAD_CPU], file)
            try:
                wait_for(lambda: "watching" in read(log), "epulsed does not attach", 20, child, log)
                yield
            finally:
                bench.children.end(child)
        return at_work

    server = contenders.ours_on(bench.bin_dir, "epoll")
    return [Entrant("no agent", server), Entrant("observes", server, beside=agent("observe")),
            Entrant("applies", server, beside=agent("apply"))]


def why_not(case):
    """Why the case cannot be had on this machine; None when it can."""
    if case.who in (PROBES, TUNER) and os.geteuid() != 0:
        return "needs root"
    available = 1024 * int(read("/proc/meminfo").partition("MemAvailable:")[2].split()[0])
    # Both directions may be full at once, and each byte has the kernel's overhead.
    if 4 * case.in_flight_bytes > available:
        return (f"{case.in_flight_bytes >> 20} MiB under way in each direction; the machine has "
                f"{available >> 20} MiB available")
    return None


def parse(text):
    """Names, and the beginnings of names with a *."""
    known, chosen = [*CASES, *EXTRAS], []
    for word in text.split():
        found = [name for name in known if name == word or word.endswith("*") and name.startswith(word[:-1])]
        if not found:
            raise BenchError(f"CASES: {word} is not one of {', '.join(known)}")
        chosen += found
    return list(dict.fromkeys(chosen))
