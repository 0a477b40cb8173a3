"""Statistics of paired ratios: a median and what it can bear."""

import math
import statistics


FEWEST = 6  # for an interval of 95 %


def median_interval(values, confidence=0.95):
    """Order-statistic interval of the median: no assumption about the distribution. None when there
    are too few values for that confidence (FEWEST)."""
    ordered = sorted(values)
    n = len(ordered)
    below, rank = 0.0, -1
    for k in range(n // 2):
        below += math.comb(n, k) * 0.5 ** n
        if 2 * below > 1 - confidence:
            break
        rank = k
    return (ordered[rank], ordered[n - 1 - rank]) if rank >= 0 else None


def summary(values):
    """Median, its interval, and the spread: the middle half of the values over the median."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    median = statistics.median(values)
    low, _, high = statistics.quantiles(values, method="inclusive") if len(values) > 1 else [median] * 3
    return {"median": median, "interval_95": median_interval(values), "n": len(values),
            "spread": (high - low) / median if median else 0}


def usable(pairs):
    """The tuples of windows to use, and how many there are. Noisy ones are a hint where the quiet
    ones are too few for an interval; the tables say so."""
    quiet = [pair for pair in pairs if not any(window["noisy"] for window in pair)]
    enough = len(quiet) >= FEWEST
    return quiet if enough else pairs, {"all": len(pairs), "quiet": len(quiet),
                                        "noisy_used": not enough}


def ratios(pairs, field):
    """Each window against the mean of the quiet-of-probes windows before and after it."""
    return [on[field] / ((before[field] + after[field]) / 2) for before, on, after in pairs]


def ratios_of_two(pairs, field):
    """Each window against the other of its round."""
    return [one[field] / other[field] for one, other in pairs]
