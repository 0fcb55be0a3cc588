"""The ledger and the run folders -> plain records for the template. Changes no run; refuses to know markup."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from digit_recognizer.data import sources
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import holm
from digit_recognizer.report.charts import chart
from digit_recognizer.report.leaderboard import leaderboard
from digit_recognizer.report.run_section import N_DISTORTED, Record, run_section
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.compare import compare_runs, verdict
from digit_recognizer.tracking.ledger import Row, now
from digit_recognizer.tracking.run_session import ledger
from digit_recognizer.utils.environment import versions

N_COMPARED = 5  # runs: the best, when none is named


def gather(words: Sequence[str] = (), data: Path | None = None, studies: Sequence[Record] = ()) -> Record:
    """All that the page shows: of the runs named, or else of the whole ledger, its best run and the `studies`.

    Raises InputError for a run or data that are not there, and when there is no finished run.
    """
    if data:
        sources.find(data)
    rows = leaderboard()
    with ledger() as book:
        named = list({run["id"]: run for run in (book.run(word) for word in words)}.values())
        if not rows and not named:
            raise InputError("there is no finished run in the ledger yet. `digits run` makes one.")
        by_id = {run["id"]: run for run in book.runs()}
        best = [by_id[row["id"]] for row in rows[:N_COMPARED]]
        shown = named or best[:1]
        members = {run["id"]: book.members(run["id"]) for run in shown}
    return {
        "made": now(),
        "versions": versions(),
        "n_runs": len(rows),
        "n_distorted": N_DISTORTED,
        "best": rows[0] if rows else None,
        "board": rows,
        "public": _public(rows),
        "comparisons": _comparisons(_compared(named, best), data),
        "studies": [] if named else studies,
        "runs": [run_section(run, members[run["id"]], data) for run in shown],
    }


def _compared(named: list[Row], best: list[Row]) -> list[Row]:
    """The runs named; with a single one, or none, also the best, the worst of them first."""
    if len(named) > 1:
        return named
    return [*(run for run in best[::-1] if run["id"] not in [own["id"] for own in named]), *named]


def _comparisons(compared: Sequence[Row], data: Path | None) -> list[Record]:
    """Each pair of the runs that held rows out by McNemar's test, its p corrected for the number of pairs.

    A pair that cannot be compared is told with the reason.
    """
    found = []
    for first, second in combinations([run for run in compared if run["n"]], 2):
        names = {
            side: f"{run_dir.short_name(run['name'])} #{run['id']}"
            for side, run in (("first", first), ("second", second))
        }
        try:
            found.append(compare_runs(first, second, data) | names | {"reason": ""})
        except InputError as error:
            found.append(names | {"reason": str(error)})
    corrected = iter(holm([pair["p_value"] for pair in found if not pair["reason"]]))
    return [pair if pair["reason"] else _corrected(pair, next(corrected)) for pair in found]


def _corrected(pair: Record, p_value: float) -> Record:
    gain = pair["only_second"] - pair["only_first"]
    return pair | {"p_value": p_value, "verdict": verdict(pair["second"], gain, pair["n"], p_value)}


def _public(rows: Sequence[Record]) -> Any:
    """Validation accuracy against the public score, where both are known."""
    dots = []
    for row in rows:
        if row["n"] and row["public_score"] is not None:
            title = f"{row['name']}: validation {row['accuracy']:.5f}, public {row['public_score']:.5f}"
            dots.append((row["accuracy"], row["public_score"], title))
    return chart("validation accuracy", "public score", [], dots) if dots else None
