"""Tables of tools/bench/suite: for a terminal, and for docs/benchmarks.md."""

import pairs
import report

HEAD = ("server", "us/op", "spread", "ratio", "ops/s", "p99 us", "rounds", "noisy", "again")


def host_text(results):
    host, chosen = results["host"], results["options"]
    return (f"{host['kernel']}, {host['cpus']} CPUs, {host['cpu_model']}, {host['congestion_control']}, "
            f"{host['date']}; windows of {chosen['seconds']:g} s, up to {chosen['rounds']} rounds, "
            f"{results['seconds'] / 60:.0f} minutes")


def time_text(figure):
    return f"{figure['median'] / 1000:.3f}" if figure else "-"


def spread_text(figure):
    if not figure:
        return "-"
    return f"{100 * figure['spread']:.0f} %" + (" few" if figure["n"] < pairs.FEWEST else "")


def ratio_text(figure):
    return f"{figure['median']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]" if figure else "-"


def cells(name, summary):
    counts = summary["windows"]
    return (name, time_text(summary["server_ns"]), spread_text(summary["server_ns"]),
            ratio_text(summary["ratio"]), report.number_text(summary["rate"]),
            report.number_text(summary["p99_us"]), str(counts["rounds"]),
            f"{counts['noisy']}{' used' if counts['noisy_used'] else ''}", str(counts["repeated"]))


def text(results):
    row = "  {:26} {:>10} {:>8} {:>18} {:>10} {:>9} {:>7} {:>8} {:>6}"
    lines = [host_text(results), explanation(results), "", row.format(*HEAD)]
    for case in results["cases"].values():
        lines.append(f"{case['title']} ({case['units']})")
        lines += [row.format(*cells(name, summary)) for name, summary in case["summary"].items()]
    for name, number in results.get("memory", {}).get("bytes", {}).items():
        lines.append(f"{name}: {number:.0f} bytes of user space per idle connection, of "
                     f"{results['memory']['connections']:,}")
    return "\n".join([*lines, *closing(results)])


def explanation(results):
    return ("us/op: the server's CPU time per message, delivery or handshake, median of the rounds; spread: "
            "half width of the median's\ninterval (95 %; all that was seen where there are less than 6 rounds, \"few\") and, in quadrature, "
            f"{100 * results['between_runs']:.0f} % that runs differ by; ratio: us/op to the first server's "
            "in the same\nround, and the same interval; noisy: rounds that others disturbed to the last; "
            "again: windows taken again for that")


def closing(results):
    windows = [window for case in results["cases"].values() for window in case["windows"]]
    lines = [f"left out: {sentence}" for sentence in results["left_out"]]
    if any(summary["windows"]["noisy_used"] for case in results["cases"].values()
           for summary in case["summary"].values()):
        lines.append("\"used\": less than half of the rounds were quiet, so the noisy ones count, too: a "
                     "hint, no result")
    return [*lines, report.noise_text(windows)] if windows else lines
