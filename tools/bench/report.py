"""From windows to tables: for people, and as JSON."""

import json
import os
import platform
import statistics
import time

import pairs as paired
from children import BenchError, read


def host():
    models = [line.partition(":")[2].strip() for line in read("/proc/cpuinfo").splitlines()
              if line.startswith("model name")]
    return {"kernel": f"{platform.system()} {platform.release()}", "cpus": os.cpu_count(),
            "cpu_model": models[0] if models else platform.machine(),
            "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control").strip(),
            "date": time.strftime("%Y-%m-%d")}


def summarize(log, pairs):
    """Of one cell: absolute figures of each kind of window, ratios of each tracer's pairs."""
    by_kind = {}
    for kind in ["off", *pairs]:
        windows = [window for window in log if window["window"] == kind]
        quiet = [window for window in windows if not window["noisy"]] or windows
        by_kind[kind] = {field: paired.summary([window[field] for window in quiet])
                         for field in ("server_ns", "both_ns", "rate", "p99_us")}
        by_kind[kind]["rejected"] = sum(window["noisy"] for window in windows)
    for kind, of_kind in pairs.items():
        used, by_kind[kind]["pairs"] = paired.usable(of_kind)
        for name, field in (("ratio", "server_ns"), ("ratio_both", "both_ns"),
                            ("ratio_rate", "rate")):
            by_kind[kind][name] = paired.summary(paired.ratios(used, field))
    return by_kind


def heading(results):
    machine, chosen = results["host"], results["options"]
    return (f"{machine['kernel']}, {machine['cpus']} CPUs, {machine['cpu_model']}, {machine['date']}\n"
            f"windows of {chosen['seconds']:g} s, up to {chosen['rounds']} rounds; server on CPU 0, "
            "load and tracers on CPU 1\n"
            "ratio: CPU time per message with probes to without, median of pairs [95 % interval]")


def ratio_text(figure):
    if figure is None:
        return "-"
    if figure["interval_95"] is None:
        return f"{figure['median']:.3f} [few]"
    low, high = figure["interval_95"]
    return f"{figure['median']:.3f} [{low:.3f}, {high:.3f}]"


def number_text(figure):
    return "-" if figure is None else f"{figure['median']:.0f}"


def pairs_text(counts):
    if counts is None:
        return "-"
    return f"{counts['all']} noisy" if counts["noisy_used"] else str(counts["quiet"])


def server_tables(result):
    row = "{:>5} {:9} {:>9} {:>22} {:>22} {:>22} {:>8} {:>8} {:>8} {:>8}"
    lines = ["", f"{result['server']} ({result['load']})",
             row.format("conn", "probes", "ns/msg", "ratio, server", "ratio, server + load",
                        "ratio, throughput", "msg/s", "p99 us", "pairs", "rejected")]
    for cell in result["cells"]:
        for kind, figures in cell["summary"].items():
            lines.append(row.format(
                cell["connections"], kind, number_text(figures["server_ns"]), ratio_text(figures.get("ratio")),
                ratio_text(figures.get("ratio_both")), ratio_text(figures.get("ratio_rate")),
                number_text(figures["rate"]), number_text(figures["p99_us"]),
                pairs_text(figures.get("pairs")), figures["rejected"]))
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
    lines = ["", "pairs \"noisy\": too few quiet ones for an interval, so all were used: a hint, no "
             "result; [few]: fewer than 6",
             "timing the programs adds some 40 ns to each run; the tables' windows go without"]
    for name, counts in results["stream"].items():
        total = counts["events"] + counts["lost"]
        lines.append(f"{name}: {100 * counts['lost'] / total:.1f} % of {total} events were lost on "
                     "the way to the reader")
    lines.append(noise_text([window for result in results["servers"] for cell in result["cells"]
                             for window in cell["windows"]]))
    return "\n".join(lines)


def noise_text(windows):
    steal, foreign = (100 * statistics.median(window[field] for window in windows)
                      for field in ("steal", "foreign"))
    return (f"server's CPUs, median of {len(windows)} windows: {steal:.1f} % stolen by the hypervisor, "
            f"{foreign:.1f} % used by other processes")


def save(results, path, what="every window"):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        json.dump({"schema_version": 1, **results}, file, indent=1)
    print(f"{what}: {path}")


def load(path, kind=None):
    """What save() has written: of this version, and of the kind that is wanted."""
    try:
        results = json.loads(read(path))
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BenchError(f"{path} is no JSON: {error}") from None
    if not isinstance(results, dict) or results.get("schema_version") != 1 or kind not in (None, results.get("kind")):
        raise BenchError(f"{path} is no result of tools/bench/{kind} that this version reads; make one anew")
    return results
