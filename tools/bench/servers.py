"""The servers under test with their load: epulse-ws and redis-server. Each gives an exact count of
messages handled and when it was taken, the client's p99 of a span of time, and starts its load once
per cell."""

import mmap
import os
import re
import socket
import struct
import subprocess
import threading
import time

from children import LOAD_CPU, SERVER_CPU, BenchError, free_port, read, wait_for
from load import Load

PING_EVERY_S = 0.002


class EpulseWs:
    """Echo of 20 B, closed loop: each connection has one message in flight."""

    name = "epulse-ws"
    load_text = "epulse-load, 20 B echo, closed loop"

    def __init__(self, children, bin_dir, scratch):
        self._children, self._bin = children, bin_dir
        out = os.path.join(scratch, "epulse-ws.out")
        with open(out, "w") as file:
            self.process = children.start(
                [f"{bin_dir}/epulse-ws", "--listen", "127.0.0.1:0", "--workers", "1"],
                [SERVER_CPU], file)
        line = wait_for(lambda: re.search(r"listening on (\S+),", read(out)),
                        "epulse-ws does not start", 10, self.process, out)
        self.url = f"ws://{line[1]}/"
        self.pid = self.process.pid
        # server/contract/stats_page.h: the worker's page follows the header's.
        with open(f"/dev/shm/epulse-ws.{self.pid}", "rb") as file:
            self._stats = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        magic, _, pid, _, self._page = struct.unpack_from("=QIIII", self._stats, 0)
        if magic != 0x53574C5055504521 or pid != self.pid:
            raise BenchError("epulse-ws's stats page is not of the version this benchmark reads")
        self._load = None

    def _counter(self, index):
        return struct.unpack_from("=Q", self._stats, self._page + 8 + 8 * index)[0]

    def messages(self):
        return time.monotonic(), self._counter(8)

    def start_load(self, connections):
        self._load = Load(self._children, self._bin, self.url, ["-c", str(connections)])
        wait_for(lambda: self._counter(0) == connections, f"{connections} connections do not open",
                 30, self._load.process)
        return self._load.pid

    def p99_us(self, start, end):
        return self._load.p99_us(start, end)

    def load_running(self):
        return self._load.running()

    def stop_load(self):
        self._load.end()
        wait_for(lambda: self._counter(0) == 0, "epulse-ws keeps its connections", 10)

    def close(self):
        self._children.end(self.process)


class Redis:
    """GET of a missing key, closed loop. The p99 is of a PING every 2 ms over one more connection,
    since redis-benchmark tells nothing before its end."""

    name = "redis-server"
    load_text = "redis-benchmark, GET, -P 1, closed loop"
    # redis-tools ships the server under another name: one binary that looks at its own.
    BINARY = "/usr/bin/redis-check-rdb"

    def __init__(self, children, _bin_dir, scratch):
        if not os.path.exists(self.BINARY):
            raise BenchError("redis-server is missing: tools/setup bench, or SERVERS=epulse-ws")
        self._children = children
        self._port = free_port()
        binary, out = os.path.join(scratch, "redis-server"), os.path.join(scratch, "redis.out")
        os.symlink(self.BINARY, binary)
        with open(out, "w") as file:
            self.process = children.start(
                [binary, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", scratch], [SERVER_CPU], file)
        wait_for(lambda: "Ready to accept" in read(out), "redis-server does not start", 10,
                 self.process, out)
        self.pid = self.process.pid
        self._control = self._connect()
        self._load = None
        self._pinging = False
        self._pings = []
        self._pinger = None

    def _connect(self):
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection.makefile("rwb", buffering=0)

    def _info(self, section, field):
        self._control.write(b"INFO %s\r\n" % section)
        left = int(self._control.readline()[1:]) + 2
        text = b""
        while len(text) < left:
            text += self._control.read(left - len(text))
        return int(re.search(field + rb":(\d+)", text)[1])

    def messages(self):
        return time.monotonic(), self._info(b"stats", b"total_commands_processed")

    def start_load(self, connections):
        self._load = self._children.start(
            ["redis-benchmark", "-p", str(self._port), "-n", "2000000000", "-c", str(connections),
             "-P", "1", "-t", "get", "-q"], [LOAD_CPU], subprocess.DEVNULL)
        wait_for(lambda: self._info(b"clients", b"connected_clients") > connections,
                 f"{connections} connections do not open", 30, self._load)
        self._pinging, self._pings = True, []
        self._pinger = threading.Thread(target=self._ping, daemon=True)
        self._pinger.start()
        return self._load.pid

    def _ping(self):
        try:
            with self._connect() as connection:
                while self._pinging:
                    start = time.monotonic()
                    connection.write(b"PING\r\n")
                    connection.readline()
                    self._pings.append((start, (time.monotonic() - start) * 1e6))
                    time.sleep(PING_EVERY_S)
        except OSError:
            pass  # the server is ended while the benchmark is interrupted

    def p99_us(self, start, end):
        taken = sorted(us for at, us in self._pings if start <= at <= end)
        return taken[int(0.99 * (len(taken) - 1))] if taken else None

    def load_running(self):
        return self._load.poll() is None

    def stop_load(self):
        self._pinging = False
        self._pinger.join()
        self._children.end(self._load)

    def close(self):
        self._children.end(self.process)


SERVERS = {server.name: server for server in (EpulseWs, Redis)}
