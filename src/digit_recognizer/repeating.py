"""`digits run --like RUN --check`: how near a repetition comes to the run it repeats, and how near it had to come.

Level 1: the same bits, expected where code, versions, CPU, threads and settings are the same. Level 2: at least 99.9 %
of the test labels. Level 3: an accuracy no more unlike than by chance, expected where CPU, threads or settings are
others, or a GPU computes; docs/reliability.md has what was measured. With other code or versions nothing is expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import bookkeeping
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
    """What a run of the ledger said.

    Raises InputError when it is not finished, or its probabilities are gone, damaged or another's.
    """
    try:
        check_finished(run)
        return Original(run, *bookkeeping.probabilities(run))
    except InputError as error:
        raise InputError(f"--check: {error} {_CURE}") from error


def check(
    first: Original,
    rows: np.ndarray,
    log_p: np.ndarray,
    test_log_p: np.ndarray,
    labels: np.ndarray,
    where: Mapping[str, str],
) -> dict[str, Any]:
    """Compare a repetition with the original; `where` it was made as for `changes_since`.

    `log_p` (n, 10) is of the held-out `rows` (n,) of train.csv, which have these (n,) labels. Returns {of, level,
    expected, changes, equal, n, verdict}: levels from 1, the best, to 3, and 4 for what is of none.
    """
    changes = bookkeeping.changes_since(first.run, where) + bookkeeping.changes_on_the_way(first.run)
    equal, n = int((first.test_log_p.argmax(axis=1) == test_log_p.argmax(axis=1)).sum()), len(test_log_p)
    same_rows = np.array_equal(first.rows, rows)
    expected = _expected(changes, _is_unsteady(where) or _is_unsteady(first.run))
    words = f"{equal:,} of {n:,} test labels are the same"
    if same_rows and np.array_equal(first.test_log_p, test_log_p) and np.array_equal(first.log_p, log_p):
        level, words = 1, "the same bits"
    elif equal >= EQUAL_PART * n:
        level = 2
    elif same_rows and len(rows):
        found = compare(first.log_p.argmax(axis=1), log_p.argmax(axis=1), labels)
        level = 3 if found.p_value > NOISE else UNLIKE
        gain = (found.only_second - found.only_first) / len(rows)
        words += f"; the accuracy on the held-out rows is {gain:+.4f}, {chance(found.p_value)}"
    else:
        level = UNLIKE
        words += "; no rows were held out by both, on which accuracies could be compared"
        expected = UNLIKE if expected == 3 else expected
    why = (
        f"other than then: {', '.join(changes)}"
        if changes
        else "code, versions, CPU, threads and settings are the same"
    )
    return {
        "of": first.run["name"],
        "level": level,
        "expected": expected,
        "changes": changes,
        "equal": equal,
        "n": n,
        "verdict": f"Check of {first.run['name']}: {_told(level)}, {words}. Expected: {_told(expected)}; {why}.",
    }


def _expected(changes: list[str], is_unsteady: bool) -> int:
    if not all(map(bookkeeping.is_of_the_machine, changes)):
        return UNLIKE
    return 3 if changes or is_unsteady else 1


def _is_unsteady(where: Mapping[str, Any]) -> bool:
    """Whether the same training may give other bits there: on a GPU, or on either of several kinds of processors."""
    return "gpu" in where["device"] or " and " in where.get("cpu", "")


def _told(level: int) -> str:
    return f"level {level}" if level < UNLIKE else "no level"
