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
    values = [value for value in values if value is not None]
    if not values:
        return None
    interval = median_interval(values)
    return {"median": statistics.median(values), "interval_95": interval, "n": len(values)}


def ratios(pairs, field):
    """Each window against the mean of the quiet-of-probes windows before and after it."""
    return [on[field] / ((before[field] + after[field]) / 2) for before, on, after in pairs]
