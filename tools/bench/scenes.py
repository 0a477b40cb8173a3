"""What may befall a server, and what the tuner does about it: each scene a server under load, its
damage, and the figure that tells. run() gives that figure before, during, and after the time in
which the tuner may act; with the tuner off the same time passes."""

import ctypes
import json
import os
import re
import socket
import subprocess
import time

import clients as own
from children import LOAD_CPU, SERVER_CPU, BenchError, free_port, pin, read, wait_for
from load import Load

CALM_S, DAMAGE_S, AFTER_S = 3, 3, 4
SYS_PIDFD_GETFD = 438


def sockets_of(pid):
    """Each socket of the process, while it is looked at: its inode and our own descriptor of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if not link.startswith("socket:"):
                continue
            taken = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(fd), 0)
            if taken < 0:
                raise BenchError(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
            with socket.socket(fileno=taken) as theirs:
                yield int(link[len("socket:["):-1]), theirs
    finally:
        os.close(pidfd)


class Scene:
    """A server with two workers, one on each CPU, and a load beside the first."""

    name, title, figure = "", "", "p99_us"
    workers, path = 2, "/"
    server_options, load_options = (), ()
    better = "lower"
    act_s = 9
    config = ""

    def __init__(self, children, bin_dir, scratch):
        self.children, self.bin, self.scratch = children, bin_dir, scratch
        self.agent = None
        self.agent_log = os.path.join(scratch, "agent.log")
        out = os.path.join(scratch, "server.out")
        self.port = free_port()
        with open(out, "w") as file:
            self.server = children.start(
                [f"{bin_dir}/epulse-ws", "--listen", f"127.0.0.1:{self.port}",
                 "--workers", str(self.workers), *self.server_options, *self.more_options()],
                [SERVER_CPU, LOAD_CPU], file)
        line = wait_for(lambda: re.search(r"listening on .*", read(out)), "epulse-ws does not start",
                        10, self.server, out)[0]
        self.tids = [int(tid) for tid in re.findall(r"tid (\d+)", line)]

    def more_options(self):
        return []

    def start_load(self):
        load = Load(self.children, self.bin, f"ws://127.0.0.1:{self.port}{self.path}",
                    list(self.load_options))
        load.count()
        return load

    def start_agent(self, tuned):
        config = os.path.join(self.scratch, "epulsed.toml")
        with open(config, "w") as file:
            file.write(self.config)
        with open(self.agent_log, "w") as file:
            self.agent = self.children.start(
                [f"{self.bin}/epulsed", "-p", str(self.server.pid), "--config", config, "--mode",
                 "apply" if tuned else "observe", "--state-dir", f"{self.scratch}/state"],
                [SERVER_CPU, LOAD_CPU], file)

    def changes(self):
        return re.findall(r": changed (.*?);", read(self.agent_log)) if self.agent else []

    def value(self, load, seconds):
        """The figure over the next so many seconds."""
        start = time.monotonic()
        first_s, first = load.count()
        time.sleep(seconds)
        last_s, last = load.count()
        rate = (last - first) / (last_s - first_s)
        p99 = load.p99_us(start, time.monotonic())
        return rate if self.figure == "rate" else p99

    def damage(self):
        raise NotImplementedError

    def run(self, tuned):
        load = self.start_load()
        values = {"before": self.value(load, CALM_S)}
        self.damage()
        values["during"] = self.value(load, DAMAGE_S)
        self.start_agent(tuned)
        time.sleep(self.act_s)
        values["after"] = self.value(load, AFTER_S)
        values["changes"] = self.changes()
        values["errors"] = load.errors()
        load.end()
        return values

    def close(self):
        if self.agent:
            self.children.end(self.agent)
        self.children.end(self.server)


class Hog(Scene):
    name, title = "a", "three busy loops on a worker's CPU"
    load_options = ("-c", "100", "-r", "4000")

    def damage(self):
        for _ in range(3):
            self.children.start(["sh", "-c", "while :; do :; done"], [LOAD_CPU], None)

    def start_load(self):
        load = super().start_load()
        pin(load.pid, SERVER_CPU)  # the hog is to disturb the worker, not the load
        return load


class Packed(Scene):
    """Together they need 1.2 CPUs: there is a backlog to be worked off, too."""

    name, title = "b", "both workers on one CPU"
    act_s = 16
    server_options = ("--handler-delay-us", "400")
    load_options = ("-c", "100", "-r", "3000")

    def damage(self):
        os.sched_setaffinity(self.tids[1], {SERVER_CPU})


class SmallBuffers(Scene):
    name, title, figure, better = "d", "receive buffers of 4 KiB", "rate", "higher"
    load_options = ("-c", "8", "-s", "65536")
    config = "[tuner.socket_buffers]\nenabled = true\ninterval_s = 1\ncooldown_s = 1\nverify_s = 1\n"

    def damage(self):
        """As a server would that sets SO_RCVBUF, which also ends the kernel's auto-tuning."""
        for _, theirs in sockets_of(self.server.pid):
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)


class SmallBatch(Scene):
    """50 publishers, each with one message on its way, and 100 subscribers: what one turn of the loop
    takes is written to each subscriber in one call. Somebody sets epoll-batch to 2."""

    name, title = "e", "an epoll batch of 2 under a burst of publishers"
    workers, path = 1, "/topic/busy"
    load_options = ("-c", "100", "--broadcast", "--publishers", "50")
    config = "[probes]\noverhead_budget = 0\n"  # within it the three intervals take longer than a scene

    def socket_path(self):
        return os.path.join(self.scratch, "ws.sock")

    def more_options(self):
        return ["--control-socket", self.socket_path()]

    def damage(self):
        self.control("set epoll-batch 2")

    def control(self, request):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(self.socket_path())
            control.sendall(request.encode() + b"\n")
            answer = json.loads(control.makefile().readline())
        if "error" in answer:
            raise BenchError(f"{request}: {answer['error']}")
        return answer

    def value(self, load, seconds):
        self.depths.append(self.depth())
        return super().value(load, seconds)

    def run(self, tuned):
        self.depths = []
        return {**super().run(tuned), "depths": self.depths}

    def depth(self):
        """Ready-queue depth at p99, over a second."""
        out = subprocess.run([f"{self.bin}/epulse", "stat", "-p", str(self.server.pid), "-j", "1", "1"],
                             capture_output=True, text=True, timeout=20, check=True).stdout
        summary = next(line for line in map(json.loads, out.splitlines()) if line["type"] == "summary")
        depths = [worker["items"]["depth_listed"] for worker in summary["workers"]]
        return max((depth["p99"] for depth in depths if depth), default=0)


class Skew(Scene):
    """Sixteen clients, eight on each worker; those of one worker leave, and eight others come.
    Tuned means --accept-steering."""

    name, title = "c", "clients of one worker leave, others come: steering"
    server_options = ("--handler-delay-us", "2000")
    EACH = 8

    def run(self, tuned):
        clients = own.open_evenly(self.port, self.EACH, 2)
        values = {"before": own.measure(clients, CALM_S)["p99_us"], "errors": 0}
        staying = [client for client in clients if client.worker == 0]
        for client in clients:
            if client.worker != 0:
                client.close()
        wait_for(lambda: own.connections_by_worker(self.port)[1] == 0, "clients do not leave", 5)
        values["during"] = own.measure(staying, DAMAGE_S)["p99_us"]
        staying += [own.Client(self.port) for _ in range(self.EACH)]
        values["after"] = own.measure(staying, AFTER_S)["p99_us"]
        values["spread"] = own.spread(staying, 2)
        values["changes"] = ["--accept-steering"] if tuned else []
        for client in staying:
            client.close()
        return values


class SteeredSkew(Skew):
    server_options = (*Skew.server_options, "--accept-steering")


SCENES = {scene.name: scene for scene in (Hog, Packed, Skew, SmallBuffers, SmallBatch)}
