"""Weights of the runs in a blend, from out-of-fold log-probabilities, and a nested estimate of the blend.

Pure functions of arrays. A weight includes the run's temperature: an over-confident run gets a lower weight.
"""

from collections.abc import Callable, Sequence

import numpy as np

from digit_recognizer.evaluation.prediction import average_log_p

N_PICKS = 30  # of runs, with replacement: weights in steps of 1/30
N_FOLDS = 5  # of the nested estimate
_LOG_TEMPERATURES = (-3.0, 3.0)

LogP = np.ndarray  # (n, 10) log-probabilities
Weigh = Callable[[Sequence[LogP], np.ndarray], list[float]]


def equal(log_ps: Sequence[LogP], labels: np.ndarray) -> list[float]:
    """The same weight for each; labels are not used."""
    return [1 / len(log_ps)] * len(log_ps)


def greedy(log_ps: Sequence[LogP], labels: np.ndarray) -> list[float]:
    """Weights for m arrays of (n, 10) out-of-fold log-probabilities, by their log-loss on (n,) labels.

    Each is first calibrated by temperature scaling (Guo et al. 2017). Then runs are selected greedily with
    replacement, each time the one that lowers the log-loss most; the best ensemble of all steps is returned
    (Caruana et al. 2004). Returns m weights with sum 1.
    """
    temperatures = np.array([temperature(log_p, labels) for log_p in log_ps])
    calibrated = [log_p / t for log_p, t in zip(log_ps, temperatures, strict=True)]
    picks = np.zeros(len(log_ps))
    total = np.zeros_like(calibrated[0], dtype=np.float64)
    best, best_loss = picks, np.inf
    for n in range(1, N_PICKS + 1):
        losses = [log_loss((total + own) / n, labels) for own in calibrated]
        pick = int(np.argmin(losses))
        picks = picks + (np.arange(len(log_ps)) == pick)
        total += calibrated[pick]
        if losses[pick] < best_loss:
            best, best_loss = picks, losses[pick]
    weights = best / temperatures
    return list(weights / weights.sum())


def nested(weigh: Weigh, log_ps: Sequence[LogP], labels: np.ndarray, seed: int = 0) -> LogP:
    """The blend's (n, 10) log-probabilities of each row with weights chosen without that row.

    The weights of each stratified fold are chosen on the other folds, so the choice does not bias the estimate.
    """
    from sklearn.model_selection import StratifiedKFold

    log_p_blend = np.empty_like(log_ps[0], dtype=np.float32)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(labels, labels)
    for others, own in folds:
        weights = weigh([log_p[others] for log_p in log_ps], labels[others])
        log_p_blend[own] = average_log_p([log_p[own] for log_p in log_ps], weights)
    return log_p_blend


def temperature(log_p: LogP, labels: np.ndarray) -> float:
    """The T that gives log_p / T the lowest log-loss: above 1 for over-confident probabilities (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda log_t: log_loss(log_p / np.exp(log_t), labels), bounds=_LOG_TEMPERATURES)
    return float(np.exp(found.x))


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean log-loss, nats, of (n, 10) logits or log-probabilities on (n,) labels."""
    top = logits.max(axis=1)
    log_sum = top + np.log(np.exp(logits - top[:, np.newaxis]).sum(axis=1))
    return float((log_sum - logits[np.arange(len(labels)), labels]).mean(dtype=np.float64))
