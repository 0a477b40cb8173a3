"""From windows to tables: for people, and as JSON."""

import json
import os
import platform
import statistics
import time

import pairs as paired
from children import read


def host():
    models = [line.partition(":")[2].strip() for line in read("/proc/cpuinfo").splitlines()
              if line.startswith("model name")]
    return {"kernel": f"{platform.system()} {platform.release()}", "cpus": os.cpu_count(),
            "cpu_model": models[0] if models else platform.machine(),
            "date": time.strftime("%Y-%m-%d")}


def summarize(log, pairs):
    """Of one cell: absolute figures of each kind of window, ratios of each tracer's pairs."""
    quiet = [window for window in log if not window["noisy"]]
    by_kind = {}
    for kind in ["off", *pairs]:
        windows = [window for window in quiet if window["window"] == kind]
        by_kind[kind] = {field: paired.summary([window[field] for window in windows])
                         for field in ("server_ns", "both_ns", "rate", "p99_us")}
        by_kind[kind]["rejected"] = sum(window["noisy"] for window in log
                                        if window["window"] == kind)
    for kind, of_kind in pairs.items():
        by_kind[kind]["ratio"] = paired.summary(paired.ratios(of_kind, "server_ns"))
        by_kind[kind]["ratio_both"] = paired.summary(paired.ratios(of_kind, "both_ns"))
        by_kind[kind]["ratio_rate"] = paired.summary(paired.ratios(of_kind, "rate"))
    return by_kind


def heading(results):
    machine, chosen = results["host"], results["options"]
    return (f"{machine['kernel']}, {machine['cpus']} CPUs, {machine['cpu_model']}, {machine['date']}\n"
            f"windows of {chosen['seconds']:g} s, up to {chosen['rounds']} rounds; server on CPU 0, "
            "load and tracers on CPU 1\n"
            "ratio: CPU time per message with probes to without, median of pairs [95 % interval]")


def _ratio(figure):
    if figure is None:
        return "-"
    if figure["interval_95"] is None:
        return f"{figure['median']:.3f} [few]"
    low, high = figure["interval_95"]
    return f"{figure['median']:.3f} [{low:.3f}, {high:.3f}]"


def _number(figure):
    return "-" if figure is None else f"{figure['median']:.0f}"


def server_tables(result):
    row = "{:>5} {:9} {:>9} {:>22} {:>22} {:>22} {:>8} {:>8} {:>5} {:>8}"
    lines = ["", f"{result['server']} ({result['load']})",
             row.format("conn", "probes", "ns/msg", "ratio, server", "ratio, server + load",
                        "ratio, throughput", "msg/s", "p99 us", "pairs", "rejected")]
    for cell in result["cells"]:
        for kind, figures in cell["summary"].items():
            ratio = figures.get("ratio")
            lines.append(row.format(
                cell["connections"], kind, _number(figures["server_ns"]), _ratio(ratio),
                _ratio(figures.get("ratio_both")), _ratio(figures.get("ratio_rate")),
                _number(figures["rate"]), _number(figures["p99_us"]), ratio["n"] if ratio else "-",
                figures["rejected"]))
    lines += ["", "  each program of epulse, by the kernel's own clock: ns per run (runs)"]
    cell_row = "  {:18}" + " {:>20}" * len(result["cells"])
    lines.append(cell_row.format("program", *(f"{cell['connections']} conn"
                                               for cell in result["cells"])))
    programs = [{row["program"]: row for row in cell["programs"]} for cell in result["cells"]]
    for name in dict.fromkeys(name for by_name in programs for name in by_name):
        lines.append(cell_row.format(name, *(
            f"{by_name[name]['ns_per_run']:.0f} ({by_name[name]['runs']})" if name in by_name else "-"
            for by_name in programs)))
    return "\n".join(lines)


def closing(results):
    lines = ["", "timing the programs adds some 40 ns to each run; the tables' windows go without"]
    for name, counts in results["stream"].items():
        total = counts["events"] + counts["lost"]
        lines.append(f"{name}: {100 * counts['lost'] / total:.1f} % of {total} events were lost on "
                     "the way to the reader")
    windows = [window for result in results["servers"] for cell in result["cells"]
               for window in cell["windows"]]
    noise = [100 * statistics.median(window[field] for window in windows)
             for field in ("steal", "foreign")]
    lines.append(f"server's CPU, median of {len(windows)} windows: {noise[0]:.1f} % stolen by the "
                 f"hypervisor, {noise[1]:.1f} % used by other processes")
    return "\n".join(lines)


def save(results, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump({"schema_version": 1, **results}, file, indent=1)
    print(f"every window: {path}")
