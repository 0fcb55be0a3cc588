"""Accuracy, log-loss and confusions of predictions. Pure functions of arrays."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

N_DIGITS = 10
Z95 = NormalDist().inv_cdf(0.975)  # half the width of the central 95 % of a normal distribution, in standard deviations


@dataclass(frozen=True)
class Metrics:
    """Accuracy and log-loss, nats, of probabilities on `n` labelled rows."""

    n: int
    accuracy: float
    log_loss: float

    @property
    def error(self) -> float:
        """The error rate."""
        return 1 - self.accuracy

    def to_json(self) -> dict[str, Any]:
        """The record of result.json."""
        return {"n": self.n, "accuracy": self.accuracy, "loss": self.log_loss, "error": self.error}


@dataclass(frozen=True)
class Validation(Metrics):
    """Metrics on rows that were held out from training, with the 95 % interval of the accuracy (Wilson 1927)."""

    correct: int
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """The record of result.json."""
        return {**super().to_json(), "correct": self.correct, "interval": list(self.interval)}


@dataclass(frozen=True)
class Score:
    """The accuracy of labels, and their confusion matrix, (10, 10) int, [answer, label]."""

    correct: int
    n: int
    interval: tuple[float, float]  # of the accuracy, Wilson 95 %
    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def precision(self) -> np.ndarray:
        """(10,) precision of each digit; nan for one that is never predicted."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        """(10,) recall of each digit; nan for one that is not among the answers."""
        return _ratio(self.confusion.diagonal(), self.confusion.sum(axis=1))

    def top_confusions(self, most: int = 5) -> list[tuple[int, int, int]]:
        """Up to `most` confusions as (answer, label, images), the most frequent first."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        cells = [divmod(int(cell), N_DIGITS) for cell in order]
        return [(answer, label, int(wrong[answer, label])) for answer, label in cells if wrong[answer, label]]


def evaluate(log_p: np.ndarray, labels: np.ndarray) -> Metrics:
    """The metrics of (n, 10) log-probabilities on (n,) labels 0..9, n > 0."""
    correct = log_p.argmax(axis=1) == labels
    log_loss = -log_p[np.arange(len(labels)), labels].mean(dtype=np.float64)
    return Metrics(len(labels), float(correct.mean()), float(log_loss))


def validate(log_p: np.ndarray, labels: np.ndarray) -> Validation | None:
    """The metrics of (n, 10) log-probabilities of held-out rows on their (n,) labels; None without any."""
    if not len(labels):
        return None
    found = evaluate(log_p, labels)
    return validation(found.n, int((log_p.argmax(axis=1) == labels).sum()), found.log_loss)


def validation(n: int, correct: int, log_loss: float) -> Validation:
    """The metrics of `correct` among `n` held-out rows."""
    return Validation(n, correct / n, log_loss, correct, wilson_interval(correct, n))


def score(labels: np.ndarray, answers: np.ndarray) -> Score:
    """Score (n,) labels 0..9 against (n,) answers 0..9. Raises ValueError when they differ in length or are empty."""
    if labels.shape != answers.shape or not len(answers):
        raise ValueError(f"expected labels for {len(answers)} answers, at least one, received {len(labels)}")
    cells = np.bincount(answers.astype(np.int64) * N_DIGITS + labels, minlength=N_DIGITS**2)
    confusion = cells.reshape(N_DIGITS, N_DIGITS)
    correct = int(confusion.trace())
    return Score(correct, len(answers), wilson_interval(correct, len(answers)), confusion)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of Wilson 1927 of a proportion; scipy.stats, which has it, takes 0.5 s to import."""
    p, z = correct / n, Z95
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(N_DIGITS, np.nan), where=whole > 0)
