"""Tables of tools/bench/server."""

import pairs as paired
from report import noise_text, number_text, pairs_text, ratio_text

BEST = "epulse-ws io_uring"  # held to all others, and none to it


def references(names):
    return [name for name in names if name != BEST]


def summarize(log, rounds, names):
    """Of one case: figures of each server, and its ratios to each reference in the same round."""
    by_server = {}
    for name in names:
        windows = [window for window in log if window["server"] == name]
        quiet = [window for window in windows if not window["noisy"]] or windows
        figures = {field: paired.summary([window[field] for window in quiet])
                   for field in ("server_ns", "both_ns", "rate", "busy", "p99_us")}
        figures["rejected"] = sum(window["noisy"] for window in windows)
        figures["ratios"] = {}
        for reference in references(names):
            if reference != name:
                used, counts = paired.usable([(each[name], each[reference]) for each in rounds
                                              if name in each and reference in each])
                figures["ratios"][reference] = {
                    "pairs": counts, **(paired.summary(paired.ratios_of_two(used, "server_ns")) or {})}
        by_server[name] = figures
    return by_server


def heading(results):
    machine, chosen = results["host"], results["options"]
    return (f"{machine['kernel']}, {machine['cpus']} CPUs, {machine['cpu_model']}, "
            f"{machine['congestion_control']}, {machine['date']}\n"
            f"windows of {chosen['seconds']:g} s, up to {chosen['rounds']} rounds; server on CPU 0, "
            f"load on CPU 1, by {chosen['load_engine']}\n"
            "us: the server's CPU time per message, delivery or handshake; spread: middle half of the windows; "
            "ratio: of that time to another server's in the same round, median [95 % interval]")


def case_table(case):
    names = references(list(case["summary"]))
    row = "{:20} {:>8} {:>7} {:>6} {:>12} {:>9} {:>9} {:>9}" + " {:>24}" * len(names)
    lines = ["", f"{case['title']}",
             row.format("server", "us", "spread", "busy", f"{case['units']}/s", "p99 us", "rounds",
                        "rejected", *(f"to {name}" for name in names))]
    for server, figures in case["summary"].items():
        lines.append(row.format(
            server, us_text(figures["server_ns"]), percent_text(figures["server_ns"], "spread"),
            percent_text(figures["busy"], "median"), number_text(figures["rate"]),
            number_text(figures["p99_us"]), rounds_text(figures), figures["rejected"],
            *(reference_text(figures["ratios"].get(name)) for name in names)))
    return "\n".join(lines)


def us_text(figure):
    return "-" if figure is None else f"{figure['median'] / 1000:.3f}"


def percent_text(figure, field):
    return "-" if figure is None else f"{100 * figure[field]:.0f} %"


def rounds_text(figures):
    counts = [ratio["pairs"] for ratio in figures["ratios"].values()]
    return pairs_text(min(counts, key=lambda one: one["quiet"])) if counts else "-"


def reference_text(ratio):
    return ratio_text(ratio if ratio and "median" in ratio else None)


def memory_table(by_server, connections):
    lines = ["", f"user-space memory per idle connection, of {connections}"]
    return "\n".join(lines + [f"{server:20} {number:8.0f} bytes"
                              for server, number in by_server.items()])


def closing(results):
    windows = [window for case in results["cases"].values() for window in case["windows"]]
    lines = ["", "rounds \"noisy\": too few quiet ones for an interval, so all were used: a hint, no "
             "result; [few]: fewer than 6"]
    return "\n".join(lines + ([noise_text(windows)] if windows else []))
