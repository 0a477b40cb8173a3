"""Processes that this benchmark starts: pinned, and ended whatever happens to it."""

import os
import signal
import socket
import subprocess
import time


SERVER_CPU = 0
LOAD_CPU = 1
NICE = -15


class BenchError(Exception):
    """Something that the user can put right; its text says how."""


class Children:
    """All that was started. The kernel ends them if the benchmark itself is killed (pdeathsig); a
    session of their own keeps the terminal's Ctrl-C from ending them out of order."""

    def __init__(self):
        self._running = []

    def start(self, command, cpus, out, nice=NICE):
        cpu_list = ",".join(str(cpu) for cpu in cpus)
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", cpu_list, *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        prefer(child.pid, nice)
        self._running.append(child)
        return child

    def end(self, child, ask=signal.SIGTERM):
        # Asked again every second: bpftrace 0.17 sleeps on when the signal comes while it attaches.
        for _ in range(5):
            if child.poll() is not None:
                break
            child.send_signal(ask)
            try:
                child.wait(1)
            except subprocess.TimeoutExpired:
                continue
        if child.poll() is None:
            child.kill()
            child.wait()
        if child in self._running:
            self._running.remove(child)

    def end_all(self):
        for child in reversed(self._running[:]):
            self.end(child)


def prefer(pid, nice=NICE):
    """So that other processes disturb the child less. With autogroups a session's weight is what
    counts between sessions, and the child has one of its own."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        if os.path.exists(f"/proc/{pid}/autogroup"):
            with open(f"/proc/{pid}/autogroup", "w") as file:
                file.write(str(nice))
    except (PermissionError, ProcessLookupError):
        pass  # no CAP_SYS_NICE, or ended at once: the windows tell how disturbed they were


def wait_for(condition, what, seconds, child=None, output=None):
    """Until the condition holds. Says what did not happen, and what the child said instead."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        ended = child is not None and child.poll() is not None
        if ended or time.monotonic() > deadline:
            said = read(output).strip()[-500:] if output else ""
            raise BenchError(f"{what}: {'it ended' if ended else f'not within {seconds} s'}"
                             + (f"; it said: {said}" if said else ""))
        time.sleep(0.02)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


def pin(pid, cpu):
    for tid in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(tid), {cpu})
