"""`digits run --like RUN --check`: compares a rerun with its original, bit by bit.

The same bits are expected where code, versions, CPU, threads and settings are the same and no GPU computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.tracking import run_session
from digit_recognizer.tracking.compare import check_finished
from digit_recognizer.tracking.ledger import Row


@dataclass(frozen=True, eq=False)
class Original:
    """The run that is repeated, and its predictions."""

    run: Row
    rows: np.ndarray  # (n,) int: the rows of train.csv that it held out
    log_p: np.ndarray  # (n, 10)
    test_log_p: np.ndarray  # (n_test, 10)


def original(run: Row) -> Original:
    """The predictions of a run of the ledger.

    Raises InputError when it is not finished, or its probabilities are missing, damaged or another run's.
    """
    try:
        check_finished(run)
        return Original(run, *run_session.probabilities(run))
    except InputError as error:
        raise InputError(f"--check: {error} Without --check the run is repeated all the same.") from error


def check(
    first: Original, rows: np.ndarray, log_p: np.ndarray, test_log_p: np.ndarray, where: Mapping[str, str]
) -> dict[str, Any]:
    """Compare a rerun with the original; `where` it was made is that of `changes_since`.

    `log_p` (n, 10) is of the held-out `rows` (n,) of train.csv, `test_log_p` (n_test, 10) of test.csv. Returns {of,
    same_bits, expected, changes, different, n, verdict}: whether all log-probabilities have the same bits, whether that
    is expected, what differs in the environment, and how many of the `n` test labels differ.
    """
    changes = run_session.environment_diff(first.run, where) + run_session.changes_at_resumes(first.run)
    same_bits = all(map(np.array_equal, (first.rows, first.log_p, first.test_log_p), (rows, log_p, test_log_p)))
    different, n = int((first.test_log_p.argmax(axis=1) != test_log_p.argmax(axis=1)).sum()), len(test_log_p)
    outcome = "the same bits" if same_bits else f"{different:,} of {n:,} test labels differ"
    cause = f"changed: {', '.join(changes)}" if changes else "same code, versions, CPU, threads and settings"
    return {
        "of": first.run["name"],
        "same_bits": same_bits,
        "expected": not changes and not _is_nondeterministic(where) and not _is_nondeterministic(first.run),
        "changes": changes,
        "different": different,
        "n": n,
        "verdict": f"Compared with {first.run['name']}: {outcome} ({cause}).",
    }


def _is_nondeterministic(where: Mapping[str, Any]) -> bool:
    """Whether the same training may give other bits there: on a GPU, or on one of several kinds of CPU."""
    return "gpu" in where["device"] or " and " in where.get("cpu", "")
