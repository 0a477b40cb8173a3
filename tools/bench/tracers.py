"""What is switched on in a window: epulse, or a bpftrace script. Each is attached when it says so."""

import os
import re
import shutil

from children import LOAD_CPU, SERVER_CPU, pin, read, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ATTACH_S = 60


class Epulse:
    name = "epulse"

    def __init__(self, children, bin_dir, scratch):
        self._children, self._bin = children, bin_dir
        self._out = os.path.join(scratch, "epulse.out")

    def attach(self, pid, *options):
        with open(self._out, "w") as file:
            child = self._children.start(
                # All metrics all the time: without a budget nothing is left out.
                [f"{self._bin}/epulse", "stat", "-p", str(pid), "--backend", "tracepoint",
                 "--overhead-budget", "0", *options],
                [LOAD_CPU], file)
        wait_for(lambda: "tracepoint backend" in read(self._out), "epulse does not attach",
                 ATTACH_S, child, self._out)
        return child

    def detach(self, child):
        self._children.end(child)

    def program_costs(self):
        """The kernel's own account, from the output of a run with --cost."""
        rows = read(self._out).partition("probe cost")[2]
        return [{"program": row[1], "runs": int(row[2]), "ns_per_run": float(row[3])}
                for row in re.finditer(r"(?m)^ +(on_\w+) +(\d+) +(\d+) ", rows)]


class Bpftrace:
    """bpftrace wants tracefs: it gets one in a mount namespace of its own, which ends with it."""

    def __init__(self, name, script, options, children, scratch):
        self.name = name
        self._children = children
        self._script, self._options = os.path.join(HERE, script), options
        self._out = os.path.join(scratch, script + ".out")
        self.events = self.events_lost = 0  # printed one by one, by the stream alone

    @staticmethod
    def installed():
        return shutil.which("bpftrace") is not None

    def attach(self, pid):
        tracefs = "/sys/kernel/tracing"
        run = (f"[ -e {tracefs}/events ] || mount -t tracefs tracefs {tracefs} || exit; "
               'exec bpftrace "$@"')
        # Both CPUs to compile on, which takes seconds; apart from the server once it is attached.
        with open(self._out, "w") as file:
            child = self._children.start(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", run, "sh",
                 *self._options, self._script, str(pid)], [SERVER_CPU, LOAD_CPU], file)
        wait_for(lambda: "\nattached" in read(self._out), f"bpftrace {self._script} does not attach",
                 ATTACH_S, child, self._out)
        pin(child.pid, LOAD_CPU)
        return child

    def detach(self, child):
        self._children.end(child)
        text = read(self._out)
        self.events += len(re.findall(r"(?m)^\d+ \d+ ", text))
        self.events_lost += sum(int(n) for n in re.findall(r"Lost (\d+) events", text))
