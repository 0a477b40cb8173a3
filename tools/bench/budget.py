"""The instructions that a message may take: lines of "CASE NUMBER", after one "path PATH". Pure."""

TOLERANCE = 0.03


def text(path, counted):
    return "\n".join(["# Instructions per message: tools/bench/callgrind --write", f"path {path}",
                      *(f"{name} {number:.1f}" for name, number in counted.items())]) + "\n"


def parse(lines):
    path, allowed = None, {}
    for line in lines.splitlines():
        name, _, value = line.partition(" ")
        if name == "path":
            path = value
        elif name and name != "#":
            allowed[name] = float(value)
    return path, allowed


def beyond(counted, allowed):
    """A sentence for each case that takes too many, and for each that only one side has."""
    wrong = [f"{name}: {number:.1f} instructions per message, {100 * (number / allowed[name] - 1):+.1f} %"
             for name, number in counted.items()
             if name in allowed and number > allowed[name] * (1 + TOLERANCE)]
    wrong += [f"{name} has no budget: tools/bench/callgrind --write" for name in counted if name not in allowed]
    return wrong + [f"{name} is not measured" for name in allowed if name not in counted]


def table(path, counted, allowed):
    row = "{:18} {:>13} {:>13} {:>8}"
    lines = [f"instructions per message, path: {path}", row.format("case", "now", "budget", "change")]
    for name, number in counted.items():
        had = allowed.get(name)
        lines.append(row.format(name, f"{number:.1f}", f"{had:.1f}" if had else "-",
                                f"{100 * (number / had - 1):+.1f} %" if had else "-"))
    return "\n".join(lines)
