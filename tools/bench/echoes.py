"""Echo servers under test, epulse-ws among them: each a command that listens on a port of loopback,
and what one window takes: the server, a load, and both ended afterwards."""

import contextlib
import os
import re
import shlex
import socket
import subprocess

from children import SERVER_CPU, BenchError, free_port, read, wait_for
from load import Load

WORKERS = "--workers 1"


class Contender:
    """A server that can be started: its name, command with {port}, and the scheme of its URL."""

    def __init__(self, name, command, scheme="ws"):
        self.name, self.scheme = name, scheme
        self._command = shlex.split(command)

    def command(self, port):
        return [part.replace("{port}", str(port)) for part in self._command]


def ours(bin_dir):
    """The bare loops, then epulse-ws with each engine that this build knows; and what it does not."""
    bare = [Contender("bare epoll", f"{bin_dir}/bare_epoll {{port}}", "tcp"),
            Contender("bare io_uring", f"{bin_dir}/bare_uring {{port}}", "tcp")]
    command = f"{bin_dir}/epulse-ws --listen 127.0.0.1:{{port}} {WORKERS}"
    said = subprocess.run([f"{bin_dir}/epulse-ws", "--help"], capture_output=True, text=True,
                          check=False).stdout
    if "--engine" not in said:
        return [*bare, Contender("epulse-ws epoll", command)], ["epulse-ws io_uring"]
    return [*bare, *(Contender(f"epulse-ws {engine}", f"{command} --engine {engine}")
                     for engine in ("epoll", "io_uring"))], []


def peers(setting):
    """From "uws=/path/to/server --port {port}; other=..."."""
    found = []
    for entry in filter(str.strip, setting.split(";")):
        match = re.fullmatch(r"\s*([\w.+-]+)\s*=\s*(\S.*?)\s*", entry)
        if not match or "{port}" not in match[2]:
            raise BenchError(f"PEERS: '{entry.strip()}' is not NAME=COMMAND with {{port}} in it")
        found.append(Contender(match[1], match[2]))
    return found


class Echo:
    """A running server and its load."""

    def __init__(self, contender, children, bin_dir, scratch):
        self.name = contender.name
        self._children, self._bin = children, bin_dir
        self._load = None
        port = free_port()
        self._url = f"{contender.scheme}://127.0.0.1:{port}/"
        out = os.path.join(scratch, "echo.out")
        with open(out, "w") as file:
            self.process = children.start(contender.command(port), [SERVER_CPU], file)
        self.pid = self.process.pid
        wait_for(lambda: accepts(port), f"{self.name} does not start", 10, self.process, out)

    def load(self, options):
        """One more load; it has opened its connections when it has counted for the first time."""
        load = Load(self._children, self._bin, self._url, options)
        load.count()
        return load

    def start_load(self, options):
        self._load = self.load(options)
        return self._load.pid

    def messages(self):
        return self._load.count()

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
        self._children.end(self.process)


def accepts(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(contender, children, bin_dir, scratch):
    echo = Echo(contender, children, bin_dir, scratch)
    try:
        yield echo
    finally:
        echo.close()
