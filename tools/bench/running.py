"""What one window takes: a server, a load on it, and both ended afterwards."""

import contextlib
import dataclasses
import json
import os
import re
import socket
import ssl
import subprocess
import time
import urllib.request

from children import SERVER_CPU, BenchError, free_port, read, wait_for
from contenders import OFFERS
from load import Load

TRIAL = ("-c", "2", "-d", "0.1", "-j")


@dataclasses.dataclass
class Bench:
    """What running() asks for."""
    children: object
    scratch: str
    bin_dir: str
    certificate: dict = dataclasses.field(default_factory=dict)


class AtWork:
    """A server on one of its offers, and its load."""

    def __init__(self, name, offer, bench, url, pid):
        self.name, self.pid, self._url = name, pid, url
        self._offer, self._children, self._bin = OFFERS[offer], bench.children, bench.bin_dir
        self._load = None

    def try_out(self):
        """Whether it does what it offers: a load that is answered rightly."""
        said = subprocess.run([f"{self._bin}/epulse-load", self._url, *self._offer.load, *TRIAL],
                              capture_output=True, text=True, check=False)
        if not said.stdout:
            raise BenchError(said.stderr.strip())
        result = json.loads(said.stdout)
        if result["errors_total"]:
            wrong = ", ".join(f"{kind} {n}" for kind, n in result["errors"].items() if n)
            raise BenchError(f"it answers wrongly: {wrong}")
        if self._offer.compressed and result["compressed"] != result["opened"]:
            raise BenchError("it does not agree to compression")

    def load(self, options, **how):
        """One more load; it has opened its connections when it has counted for the first time."""
        load = Load(self._children, self._bin, self._url, [*self._offer.load, *options], **how)
        load.count()
        return load

    def start_load(self, options):
        self._load = self.load(options)
        return self._load.pid

    def messages(self):
        return self._load.count()

    def await_answers(self, seconds):
        """Gigabytes under way take their time until the first message is back."""
        end = time.monotonic() + seconds
        while self.messages()[1] == 0 and self.load_running() and time.monotonic() < end:
            pass

    def p99_us(self, start, end):
        return self._load.p99_us(start, end)

    def load_running(self):
        return self._load.running()

    def errors(self):
        return self._load.errors()

    def anonymous_bytes(self):
        """Memory that is the process's own: heap, stacks and buffers, without files and sharing."""
        kib = re.search(r"(?m)^RssAnon:\s+(\d+) kB", read(f"/proc/{self.pid}/status"))
        return 1024 * int(kib[1])

    def close(self):
        if self._load:
            self._load.end()


class Running(AtWork):
    """A contender that was started for this."""

    def __init__(self, contender, offer, bench, cpus=(SERVER_CPU,)):
        self.port = port = free_port()
        self.out = os.path.join(bench.scratch, f"server.{port}.out")
        with open(self.out, "w") as file:
            self.process = bench.children.start(
                contender.command(offer, port=port, **bench.certificate), cpus, file)
        super().__init__(contender.name, offer, bench, contender.url(offer, port), self.process.pid)
        wait_for(lambda: accepts(port), f"{self.name} does not start", 10, self.process, self.out)

    def close(self):
        super().close()
        self._children.end(self.process)


def accepts(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def counters(port, scheme="ws"):
    """What epulse-ws has counted, over all its workers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = f"{scheme.replace('ws', 'http')}://127.0.0.1:{port}/stats"
    sums = {}
    with urllib.request.urlopen(url, timeout=30, context=context) as answer:
        for line in answer.read().decode().splitlines():
            *_, name, value = ["", *line.split()]
            if value.isdigit():
                sums[name] = sums.get(name, 0) + int(value)
    return sums


@contextlib.contextmanager
def running(contender, offer, bench, **how):
    server = (Running(contender, offer, bench, **how) if contender.starts
              else AtWork(contender.name, offer, bench, contender.address, contender.pid))
    try:
        yield server
    finally:
        server.close()
