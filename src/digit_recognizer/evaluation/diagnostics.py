"""Calibration, likely label errors and disagreement, from out-of-fold probabilities. Pure functions of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_recognizer.evaluation.blend_weights import log_loss, temperature

N_BINS = 15  # equal-width bins of confidence, the usual number


@dataclass(frozen=True)
class Calibration:
    """How well confidence agrees with accuracy."""

    bins: tuple[tuple[float, float, int], ...]  # mean confidence, accuracy, images; only bins with images
    ece: float  # expected calibration error: mean distance of confidence and accuracy, weighted by images
    temperature: float  # dividing log-probabilities by it calibrates best; above 1: over-confident
    loss: float  # log-loss, nats
    loss_calibrated: float  # after that division


def calibration(log_p: np.ndarray, labels: np.ndarray) -> Calibration:
    """The calibration of (n, 10) log-probabilities on (n,) labels (Guo, Pleiss, Sun, Weinberger 2017)."""
    confidence = np.exp(log_p.max(axis=1).astype(np.float64))
    correct = log_p.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    masks = [bin_of == number for number in np.unique(bin_of)]
    bins = tuple((float(confidence[mask].mean()), float(correct[mask].mean()), int(mask.sum())) for mask in masks)
    ece = sum(n * abs(sure - accuracy) for sure, accuracy, n in bins) / len(labels)
    t = temperature(log_p, labels)
    return Calibration(bins, ece, t, log_loss(log_p, labels), log_loss(log_p / t, labels))


def label_errors(log_p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows whose (n,) labels are likely wrong, the most likely first, from (n, 10) out-of-fold log-probabilities.

    Confident learning (Northcutt, Jiang, Chuang 2021): a row is a candidate when the probability of another digit is
    at least the mean probability of that digit over the rows labelled with it.
    """
    p = np.exp(log_p.astype(np.float64))
    own = p[np.arange(len(labels)), labels]
    usual = np.array([own[labels == digit].mean() if (labels == digit).any() else np.inf for digit in range(10)])
    confident = np.where(p >= usual, p, -1.0)
    candidates = np.flatnonzero((confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != labels))
    margin = own[candidates] - p[candidates].max(axis=1)
    return candidates[np.argsort(margin, kind="stable")]


def disagreement(log_ps: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows on which the predictions of networks differ, the most dissenting votes first, and the dissent of all n rows.

    Takes (n, 10) log-probabilities for each network.
    """
    predicted = np.stack([log_p.argmax(axis=1) for log_p in log_ps], axis=1)
    votes = np.stack([(predicted == digit).sum(axis=1) for digit in range(10)], axis=1)
    dissent = len(log_ps) - votes.max(axis=1)
    confidence = np.mean(log_ps, axis=0).max(axis=1)
    order = np.lexsort((confidence, -dissent))
    return order[: int((dissent > 0).sum())], dissent
