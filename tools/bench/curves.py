"""What results of epulse-load -j look like: latency against percentile, p99 against rate."""

import math
import re

import svg

FEWEST_NINES = 2  # an axis to 99 % at least
LOG_FROM = 20  # rates so far apart, the highest to the lowest, want a logarithmic axis


class Unfit(Exception):
    """A result that has not what a diagram shows: what, and the remedy."""


def latency_text(us):
    for unit, factor in (("us", 1), ("ms", 1e3), ("s", 1e6)):
        if us < factor * 1000 or unit == "s":
            return f"{us / factor:g} {unit}"


def rate_text(rate):
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if rate >= factor:
            return f"{rate / factor:g} {unit}"
    return f"{rate:g}"


def legend_name(name, summary):
    return f"{name} (unsound)" if summary["unsound"] else name


# Percentiles.


def inverse_tail(share):
    """Where a percentile is on the usual axis: every nine takes the same room."""
    return math.log10(1 / (1 - share))


def nines_axis(nines):
    ticks = [(0.0, "0")] + [(1 - 10.0 ** -k, f"{100 - 10.0 ** (2 - k):.{max(0, k - 2)}f}")
                            for k in range(1, nines + 1)]
    return svg.Axis("percentile", 0.0, 1 - 10.0 ** -nines, ticks, inverse_tail)


def percentile_points(summary):
    """(share, us). The largest is that of one message of all."""
    points = [(point["share"], point["us"]) for point in summary.get("percentiles", ())]
    if len(points) < 2:
        raise Unfit("no percentiles: was anything received, and is the file of this version's epulse-load -j?")
    (last, _), (_, largest) = points[-2:]
    whole = 1 - 1 / max(summary["received"], 1)
    return points[:-1] + ([(whole, largest)] if whole > last else [])


def percentile_diagram(results, title):
    """`results`: (name, summary)."""
    curves = [(legend_name(name, summary), percentile_points(summary)) for name, summary in results]
    # What took no time at all has no place on a logarithmic axis.
    floor = min((us for _, points in curves for _, us in points if us > 0), default=1)
    curves = [(name, [(share, max(us, floor)) for share, us in points]) for name, points in curves]
    nines = max(math.ceil(inverse_tail(points[-1][0]) - 1e-9) for _, points in curves)
    latencies = [us for _, points in curves for _, us in points]
    diagram = svg.Diagram(title, nines_axis(max(nines, FEWEST_NINES)),
                          svg.log_axis("latency", latencies, latency_text))
    for name, points in curves:
        diagram.add(svg.Curve(name, points))
    return diagram


# Rates.


def rate_points(summary):
    """(rate, p99 in us, whether it is no result of the server's), by rate."""
    points = [(step["rate_due"], step["p99_us"], bool(step["unsound"])) for step in summary["steps"]
              if step["p99_us"] > 0]
    if not points:
        raise Unfit("no steps: make it with epulse-load -j and --rate A,B,C or --ramp")
    return sorted(points)


def lowest_of_each(points):
    """What the line goes through: a ramp tries rates again that failed, perhaps by accident."""
    best = {}
    for rate, us, unsound in points:
        if not unsound:
            best[rate] = min(best.get(rate, us), us)
    return list(best.items())


def target_us(summary):
    """The bound of a ramp for p99; None when it was for anything else."""
    target = (summary.get("ramp") or {}).get("target", "")
    found = re.fullmatch(r"p99<=?([0-9.eE+-]+)(ns|us|ms|s)", target)
    return float(found[1]) * {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}[found[2]] if found else None


def rate_axis(rates):
    label = "messages per second, due"
    if max(rates) > LOG_FROM * min(rates):
        return svg.log_axis(label, rates, rate_text)
    return svg.linear_axis(label, max(rates), rate_text)


def rate_diagram(results, title):
    curves = [(name, rate_points(summary)) for name, summary in results]
    targets = {target for _, summary in results if (target := target_us(summary)) is not None}
    rates = [rate for _, points in curves for rate, _, _ in points]
    latencies = [us for _, points in curves for _, us, _ in points] + list(targets)
    diagram = svg.Diagram(title, rate_axis(rates), svg.log_axis("p99 latency", latencies, latency_text),
                          legend_left=True)
    for target in sorted(targets):
        diagram.add_level(target, f"target {latency_text(target)}")
    for name, points in curves:
        some = any(unsound for _, _, unsound in points)
        diagram.add(svg.Curve(f"{name} (hollow: unsound)" if some else name, lowest_of_each(points), points))
    return diagram
