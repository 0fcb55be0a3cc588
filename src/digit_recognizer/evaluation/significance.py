"""Whether a difference between two models on the same rows is significant."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np

from digit_recognizer.evaluation.metrics import Z95

SIGNIFICANCE_LEVEL = 0.05  # the usual one
PUBLIC_ROWS = 7_000  # about a quarter of Kaggle's test.csv; the public score is computed on these


@dataclass(frozen=True)
class McNemar:
    """The exact McNemar test of two sets of labels for the same rows: those that only one of them has correct."""

    only_first: int
    only_second: int
    p_value: float  # two-sided


def mcnemar(first: np.ndarray, second: np.ndarray, answers: np.ndarray) -> McNemar:
    """The exact McNemar test of (n,) labels `first` and `second` on (n,) `answers` (McNemar 1947)."""
    from scipy.special import bdtr  # takes 0.1 s to import

    only_first = int(((first == answers) & (second != answers)).sum())
    only_second = int(((first != answers) & (second == answers)).sum())
    discordant = only_first + only_second
    p_value = min(1.0, 2 * float(bdtr(min(only_first, only_second), discordant, 0.5)))
    return McNemar(only_first, only_second, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, corrected by Holm's step-down method (Holm 1979)."""
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(n)
    corrected[order] = np.maximum.accumulate(np.minimum(1, (n - np.arange(n)) * np.asarray(p_values)[order]))
    found: list[float] = corrected.tolist()
    return found


def describe_significance(p_value: float) -> str:
    """For example "not significant, p = 0.21"."""
    return f"{'not significant' if p_value > SIGNIFICANCE_LEVEL else 'significant'}, p = {p_value:.2g}"


def difference_interval(found: McNemar, n: int) -> tuple[float, float]:
    """The 95 % interval of the second's accuracy minus the first's on the same `n` rows (Bonett, Price 2012)."""
    first, second = ((count + 1) / (n + 2) for count in (found.only_first, found.only_second))
    half = Z95 * sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, second - first - half), min(1.0, second - first + half)


def public_standard_error(interval: Sequence[float], variance: float) -> float:
    """One standard error of a public score.

    Combines the standard error of an estimate with this 95 % `interval` and that of the public rows, on each of which
    the score has this `variance`.
    """
    low, high = interval
    return hypot((high - low) / 2 / Z95, sqrt(variance / PUBLIC_ROWS))
