"""What a run states of a case, from its windows; and whether two runs agree. Pure: no clock, no files."""

import math
import statistics

import pairs

# Two runs minutes apart, of the same programs, differ by more than the windows of either tell: where
# the heap and the threads happen to lie, how warm the host is. As a share of the median.
BETWEEN_RUNS = 0.05
FIELDS = ("server_ns", "both_ns", "rate", "busy", "p99_us")


def interval(values):
    """(low, high, confidence) of the median: by order statistics where 95 % can be had, and all that
    was seen where the values are too few for it."""
    found = pairs.median_interval(values)
    if found:
        return *found, 0.95
    return min(values), max(values), 1 - 2 * 0.5 ** len(values)


def stated(values, between_runs=BETWEEN_RUNS):
    """Median of the values, and the spread to state with it: the half width of its interval, and in
    quadrature what runs differ by. None without values."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    median = statistics.median(values)
    low, high, confidence = interval(values)
    own = max(median - low, high - median) / median if median else 0.0
    return {"median": median, "low": low, "high": high, "confidence": confidence, "n": len(values),
            "spread": math.hypot(own, between_runs)}


def chosen_windows(taken):
    """Of each round the least disturbed window, `taken` being lists of them with that one first; and
    how many were noisy. Noisy ones are used only where fewer than half of the rounds were quiet."""
    best = [windows[0] for windows in taken]
    quiet = [window for window in best if not window["noisy"]]
    enough = 2 * len(quiet) >= len(best)
    counts = {"rounds": len(best), "repeated": sum(len(windows) - 1 for windows in taken),
              "noisy": len(best) - len(quiet), "noisy_used": not enough}
    return (quiet if enough else best), counts


def chosen_pairs(pairs_of_rounds):
    """By the same rule: pairs of which both windows were quiet, where those are at least half."""
    quiet = [pair for pair in pairs_of_rounds if not any(window["noisy"] for window in pair)]
    return quiet if 2 * len(quiet) >= len(pairs_of_rounds) else pairs_of_rounds


def summarize(rounds, names):
    """`rounds`: of each round the windows by entrant. The first name is what ratios are to."""
    by_name = {}
    for name in names:
        taken = [each[name] for each in rounds if name in each]
        used, counts = chosen_windows(taken)
        figures = {field: stated([window[field] for window in used]) for field in FIELDS}
        pairs_of_rounds = [(each[name][0], each[names[0]][0]) for each in rounds
                           if name in each and names[0] in each]
        both = [(one["server_ns"], other["server_ns"]) for one, other in chosen_pairs(pairs_of_rounds)]
        ratios = [one / other for one, other in both if one and other]
        by_name[name] = {**figures, "windows": counts,
                         "ratio": stated(ratios, 0.0) if name != names[0] else None}
    return by_name


def difference(one, other):
    """Of two medians, as a share of their mean."""
    mean = (one["median"] + other["median"]) / 2
    return (other["median"] - one["median"]) / mean if mean else 0.0


def agree(one, other):
    """Whether two figures differ by no more than the spreads that they state, in quadrature: the
    spread of their difference."""
    return abs(difference(one, other)) <= math.hypot(one["spread"], other["spread"])


def only_in(one, other):
    """Texts: what one run has figures of, and the other has not."""
    found = []
    for case, measured in one["cases"].items():
        if case not in other["cases"]:
            found.append(case)
        else:
            found += [f"{name} in {case}" for name in measured["summary"]
                      if name not in other["cases"][case]["summary"]]
    return found


def compare(first, second, field="server_ns"):
    """Rows (case, entrant, figure of each, difference, agree?) of what both runs measured."""
    rows = []
    for case in first["cases"]:
        if case not in second["cases"]:
            continue
        ones, others = first["cases"][case]["summary"], second["cases"][case]["summary"]
        for name in ones:
            one, other = ones[name].get(field), others.get(name, {}).get(field)
            if one and other:
                rows.append((case, name, one, other, difference(one, other), agree(one, other)))
    return rows
