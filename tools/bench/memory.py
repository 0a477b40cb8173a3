"""Memory, descriptors and threads of a process, and memory of the machine, as /proc tells them."""

import os
import re

from children import read


def kib(text, name):
    found = re.search(rf"(?m)^{name}:\s+(\d+) kB", text)
    return int(found[1]) if found else 0


def pss_bytes(pid):
    """Its own pages, and its share of those that it has in common with others."""
    return 1024 * kib(read(f"/proc/{pid}/smaps_rollup"), "Pss")


def rss_bytes(pid):
    return 1024 * kib(read(f"/proc/{pid}/status"), "VmRSS")


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def peak_rss_bytes(pid):
    """The most since reset_peak, by the kernel: no peak falls between two samples."""
    return 1024 * kib(read(f"/proc/{pid}/status"), "VmHWM")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def machine():
    """Bytes of the whole machine: available, and of the kernel's own objects."""
    text = read("/proc/meminfo")
    return {"available": 1024 * kib(text, "MemAvailable"), "slab": 1024 * kib(text, "Slab"),
            "kernel_stack": 1024 * kib(text, "KernelStack"), "page_tables": 1024 * kib(text, "PageTables")}
