"""One window of time: what the server did in it, and whether others disturbed it."""

import os
import time

from children import LOAD_CPU, SERVER_CPU, BenchError, read

SETTLE_S = 0.2
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def thread_cpu_ns(pid, tid):
    try:
        return int(read(f"/proc/{pid}/task/{tid}/schedstat").split()[0])
    except FileNotFoundError:  # a kernel without CONFIG_SCHED_INFO
        fields = read(f"/proc/{pid}/task/{tid}/stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_NS


def process_cpu_ns(pid):
    return sum(thread_cpu_ns(pid, tid) for tid in os.listdir(f"/proc/{pid}/task"))


def cpu_busy_and_steal_ns(cpu):
    for line in read("/proc/stat").splitlines():
        if line.startswith(f"cpu{cpu} "):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            return (user + nice + system + irq + softirq) * TICK_NS, steal * TICK_NS
    raise BenchError(f"CPU {cpu} is not in /proc/stat")


def disturbed(steal, foreign):
    """Ticks miss some of what a server does that wakes for each message: a foreign share below nothing,
    which must not make up for steal."""
    return steal + max(foreign, 0)


def measure(server, load_pid, seconds, noise, cpus=(SERVER_CPU,)):
    """The edges are read in the same order, so the reading's own delay cancels. `cpus` are the
    server's; the load may have one of them, too. A server whose process is not known (pid None) has
    no CPU time, and its CPU is taken to be its own."""
    def edge():
        counted_at, messages = server.messages()  # may wait for the next count
        busy_and_steal = [cpu_busy_and_steal_ns(cpu) for cpu in cpus]
        return (time.monotonic(), counted_at, messages,
                process_cpu_ns(server.pid) if server.pid else 0, process_cpu_ns(load_pid),
                *(sum(column) for column in zip(*busy_and_steal)))

    before = edge()
    time.sleep(seconds)
    after = edge()
    elapsed, counted_s, messages, server_ns, load_ns, busy_ns, steal_ns = (
        b - a for a, b in zip(before, after))
    if not server.load_running():
        raise BenchError(f"the load on {server.name} ended by itself")
    # Where none came back it is as if one had: who asks looks at "messages", or at "noisy".
    rate = max(messages, 1) / counted_s
    span_ns = elapsed * 1e9
    per_message = 1 / (rate * elapsed)  # rates over both spans: they need not be quite the same
    # Shares of the server's CPUs. Ticks of 10 ms tell them to some 2 % of a second.
    own_ns = (server_ns if server.pid else busy_ns) + (load_ns if LOAD_CPU in cpus else 0)
    steal, foreign = (ns / span_ns / len(cpus) for ns in (steal_ns, busy_ns - own_ns))
    return {
        "messages": messages,
        "server_ns": server_ns * per_message if server.pid else None,
        "both_ns": (server_ns + load_ns) * per_message if server.pid else None,
        "rate": rate,
        "busy": server_ns / span_ns if server.pid else None,
        "p99_us": server.p99_us(before[0], after[0]),
        "steal": steal,
        "foreign": foreign,
        "noisy": messages == 0 or disturbed(steal, foreign) > noise,
    }


def measure_quiet(server, load_pid, seconds, tries, noise, cpus=(SERVER_CPU,)):
    """Repeats a disturbed window. Returns the windows taken."""
    taken = []
    for _ in range(tries):
        time.sleep(SETTLE_S)
        taken.append(measure(server, load_pid, seconds, noise, cpus))
        if not taken[-1]["noisy"]:
            break
    return taken
