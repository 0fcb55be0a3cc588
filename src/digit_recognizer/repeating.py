"""`digits run --like RUN --check`: how near a repetition comes to the run it repeats, and how near it had to come.

Level 1: the same bits, on the same CPU, threads, versions and settings. Level 2: at least 99.9 % of the test labels, on
another CPU, or after any other change. Level 3: an accuracy no more unlike than by chance, where a GPU computes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import bookkeeping, runs
from .errors import InputError
from .ledger import Row
from .score import NOISE, chance, compare
from .versus import check_finished

EQUAL_PART = 0.999  # of the test labels, from which on a repetition is of level 2
UNLIKE = 4  # the level of what is none
_CURE = "Without --check the run is repeated all the same."


@dataclass(frozen=True, eq=False)
class Original:
    """The run that is repeated, and what it said."""

    run: Row
    rows: np.ndarray  # (n,) int: the rows of train.csv that it held out
    log_p: np.ndarray  # (n, 10)
    test_log_p: np.ndarray  # (n_test, 10)


def original(run: Row) -> Original:
    """What a run of the ledger said. Raises InputError when it is not finished, or its probabilities are gone."""
    try:
        check_finished(run)
        return Original(run, *runs.read_probabilities(runs.folder_of(run)))
    except InputError as error:
        raise InputError(f"--check: {error} {_CURE}") from error


def check(
    first: Original, log_p: np.ndarray, test_log_p: np.ndarray, labels: np.ndarray, device: str
) -> dict[str, Any]:
    """Compare a repetition on `device`, cpu or gpu, with the original.

    `log_p` (n, 10) is of the rows that were held out, whose (n,) labels of train.csv are `labels`. Returns {of, level,
    expected, changes, equal, n, verdict}: levels from 1, the best, to 3, and 4 for what is of none.
    """
    changes = bookkeeping.changes_since(first.run, device)
    expected = 3 if "gpu" in (device, first.run["device"]) else 2 if changes else 1
    equal, n = int((first.test_log_p.argmax(axis=1) == test_log_p.argmax(axis=1)).sum()), len(test_log_p)
    found = compare(first.log_p.argmax(axis=1), log_p.argmax(axis=1), labels) if len(labels) else None
    same_bits = np.array_equal(first.test_log_p, test_log_p) and np.array_equal(first.log_p, log_p)
    if same_bits:
        level, words = 1, "the same bits"
    elif equal >= EQUAL_PART * n:
        level, words = 2, f"{equal:,} of {n:,} test labels are the same"
    else:
        level = 3 if found and found.p_value > NOISE else UNLIKE
        words = f"{equal:,} of {n:,} test labels are the same"
        if found:
            gain = (found.only_second - found.only_first) / len(labels)
            words += f"; the accuracy on the held-out rows is {gain:+.4f}, {chance(found.p_value)}"
    reached = f"level {level}" if level < UNLIKE else "no level"
    why = f"other than then: {', '.join(changes)}" if changes else "CPU, threads, versions and settings are the same"
    return {
        "of": first.run["name"],
        "level": level,
        "expected": expected,
        "changes": changes,
        "equal": equal,
        "n": n,
        "verdict": f"Check of {first.run['name']}: {reached}, {words}. Expected: level {expected}; {why}.",
    }
