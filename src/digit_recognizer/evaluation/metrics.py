"""Submission x answers -> Score. Pure: two arrays in, records out; refuses to know files and models."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from statistics import NormalDist

import numpy as np

N_DIGITS = 10
Z95 = NormalDist().inv_cdf(0.975)  # standard errors to either side that hold 95 % of a normal distribution
SIGNIFICANCE_LEVEL = 0.05  # the customary level: above it a difference could be chance


@dataclass(frozen=True)
class Score:
    """How many labels are right; the rest follows from `confusion`, (10, 10) int, [answer, label]."""

    correct: int
    n: int
    interval: tuple[float, float]  # of the accuracy, Wilson 95 %
    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def precision(self) -> np.ndarray:
        """(10,) part right of what was labelled so; nan for a digit that was never given as label."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        """(10,) part found of what is so; nan for a digit that never is the answer."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=1))

    def costliest(self, most: int) -> list[tuple[int, int, int]]:
        """Up to `most` confusions as (answer, label, images), the costliest first."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        cells = [divmod(int(cell), N_DIGITS) for cell in order]
        return [(answer, label, int(wrong[answer, label])) for answer, label in cells if wrong[answer, label]]


@dataclass(frozen=True)
class McNemar:
    """Two submissions on the same rows: those that only one of them has right, and could it be chance."""

    only_first: int
    only_second: int
    p_value: float  # exact McNemar test, two-sided


def score(labels: np.ndarray, answers: np.ndarray) -> Score:
    """Score (n,) labels 0..9 against (n,) answers 0..9. Raises ValueError when they differ in length or are empty."""
    if labels.shape != answers.shape or not len(answers):
        raise ValueError(
            f"expected labels and answers of one length above 0, received {len(labels)} and {len(answers)}"
        )
    cells = np.bincount(answers.astype(np.int64) * N_DIGITS + labels, minlength=N_DIGITS**2)
    confusion = cells.reshape(N_DIGITS, N_DIGITS)
    correct = int(confusion.trace())
    return Score(correct, len(answers), wilson_interval(correct, len(answers)), confusion)


def mcnemar(first: np.ndarray, second: np.ndarray, answers: np.ndarray) -> McNemar:
    """Which of two submissions has more right, and how likely chance alone makes such a difference (McNemar 1947)."""
    from scipy.special import bdtr  # here: it takes a tenth of a second to import

    only_first = int(((first == answers) & (second != answers)).sum())
    only_second = int(((first != answers) & (second == answers)).sum())
    discordant = only_first + only_second
    p_value = min(1.0, 2 * float(bdtr(min(only_first, only_second), discordant, 0.5)))
    return McNemar(only_first, only_second, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests at once, raised so that below a level the risk of any false one is (Holm 1979)."""
    n = len(p_values)
    order = sorted(range(n), key=lambda place: p_values[place])
    raised = accumulate((min(1.0, (n - rank) * p_values[place]) for rank, place in enumerate(order)), max)
    by_place = dict(zip(order, raised, strict=True))
    return [by_place[place] for place in range(n)]


def describe_significance(p_value: float) -> str:
    """A p-value in words."""
    return "could be chance" if p_value > SIGNIFICANCE_LEVEL else "hardly chance"


def difference_interval(found: McNemar, n: int) -> tuple[float, float]:
    """The 95 % interval of the second's accuracy minus the first's, on the same `n` rows (Bonett and Price 2012)."""
    first, second = ((count + 1) / (n + 2) for count in (found.only_first, found.only_second))
    half = Z95 * sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, second - first - half), min(1.0, second - first + half)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of Wilson 1927 for a proportion; scipy.stats has it, but imports for half a second."""
    p, z = correct / n, Z95
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(N_DIGITS, np.nan), where=whole > 0)
