"""A network of the benchmark's own: a namespace with a loopback, and a veth pair that leads nowhere.

Nothing that an attack does is seen outside, and 10.9.0.0/16 are addresses to which the kernel sends
answers that nobody takes: senders of SYN that never go on.
"""

import os
import subprocess
import sys

MARK = "EPULSE_BENCH_NAMESPACE"
NOWHERE = "10.9.0.0/16"
SET_UP = (
    "ip link set lo up",
    "ip link add nowhere0 type veth peer name nowhere1",
    "ip link set nowhere0 arp off up",  # no question of who has the address
    "ip link set nowhere1 up",
    f"ip route add {NOWHERE} dev nowhere0",
)


def enter():
    """Starts the program again inside. Returns whether it is there, and why not."""
    if MARK in os.environ:
        return _set_up()
    may = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    if may.returncode != 0:
        return False, may.stderr.strip()
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def _set_up():
    for command in SET_UP:
        said = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if said.returncode != 0:
            return False, f"{command}: {said.stderr.strip()}"
    return True, ""
