"""One window of time: what the server did in it, and whether others disturbed it."""

import os
import time

from children import SERVER_CPU, BenchError, read

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


def measure(server, load_pid, seconds, noise):
    """The edges are read in the same order, so the reading's own delay cancels."""
    def edge():
        counted_at, messages = server.messages()  # may wait for the next count
        return (time.monotonic(), counted_at, messages, process_cpu_ns(server.pid),
                process_cpu_ns(load_pid), *cpu_busy_and_steal_ns(SERVER_CPU))

    before = edge()
    time.sleep(seconds)
    after = edge()
    elapsed, counted_s, messages, server_ns, load_ns, busy_ns, steal_ns = (
        b - a for a, b in zip(before, after))
    if not server.load_running():
        raise BenchError(f"the load on {server.name} ended by itself")
    # A load that was starved has at least one: such a window is noisy.
    rate = max(messages, 1) / counted_s
    span_ns = elapsed * 1e9
    per_message = 1 / (rate * elapsed)  # rates over both spans: they need not be quite the same
    # Shares of the server's CPU. Ticks of 10 ms tell them to some 2 % of a second.
    steal, foreign = steal_ns / span_ns, (busy_ns - server_ns) / span_ns
    return {
        "server_ns": server_ns * per_message,
        "both_ns": (server_ns + load_ns) * per_message,
        "rate": rate,
        "busy": server_ns / span_ns,
        "p99_us": server.p99_us(before[0], after[0]),
        "steal": steal,
        "foreign": foreign,
        "noisy": steal + foreign > noise,
    }


def measure_quiet(server, load_pid, seconds, tries, noise):
    """Repeats a disturbed window. Returns the windows taken."""
    taken = []
    for _ in range(tries):
        time.sleep(SETTLE_S)
        taken.append(measure(server, load_pid, seconds, noise))
        if not taken[-1]["noisy"]:
            break
    return taken
