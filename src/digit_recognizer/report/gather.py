"""The records of the report: plain values for the template, without markup."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from digit_recognizer.data import sources
from digit_recognizer.data.csv_reader import LabelledTable, read_train
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.significance import holm
from digit_recognizer.report.charts import chart
from digit_recognizer.report.leaderboard import LeaderboardRow, leaderboard
from digit_recognizer.report.run_section import N_AUGMENTED, Record, run_section
from digit_recognizer.tracking.compare import compare_runs, train_table_of, verdict
from digit_recognizer.tracking.ledger import now
from digit_recognizer.tracking.run_record import RunRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.environment import versions

N_COMPARED = 5  # the best runs, when none is named
TrainTable = Callable[[RunRecord], LabelledTable]


def gather(
    workspace: Workspace, words: Sequence[str] = (), data: Path | None = None, studies: Sequence[Any] = ()
) -> Record:
    """The content of the page: of the named runs, or else of the whole ledger, its best run and the `studies`.

    Raises InputError for unknown runs or data, and when there is no finished run.
    """
    if data:
        sources.find(data, workspace.data)
    rows = leaderboard(workspace)
    with workspace.existing_ledger() as ledger:
        named = list({run.id: run for run in map(ledger.run, words)}.values())
        if not rows and not named:
            raise InputError("there is no finished run in the ledger yet. `digits run` makes one.")
        by_id = {run.id: run for run in ledger.runs()}
        best = [by_id[row.id] for row in rows[:N_COMPARED]]
        shown = named or best[:1]
        networks = {run.id: ledger.networks(run.id) for run in shown}
        parts = {run.id: [ledger.run(name) for name in run.blend_weights] for run in shown if run.is_blend}
    read = cache(read_train)  # used for each pair of runs

    def train_table(run: RunRecord) -> LabelledTable:
        return train_table_of([run], data, read)

    return {
        "made": now(),
        "versions": versions(),
        "n_runs": len(rows),
        "n_augmented": N_AUGMENTED,
        "best": rows[0] if rows else None,
        "board": rows,
        "public": _public(rows),
        "comparisons": _comparisons(_compared(named, best), train_table),
        "studies": [] if named else studies,
        "runs": [run_section(run, networks[run.id], parts.get(run.id, []), data, train_table) for run in shown],
    }


def _compared(named: list[RunRecord], best: list[RunRecord]) -> list[RunRecord]:
    """The named runs; with fewer than two, the best runs are added in front, in ascending order."""
    if len(named) > 1:
        return named
    return [*(run for run in best[::-1] if run not in named), *named]


def _comparisons(runs: Sequence[RunRecord], train_table: TrainTable) -> list[Record]:
    """Each pair of runs with held-out rows by McNemar's test, p corrected for the number of pairs.

    A pair that cannot be compared has a `reason`.
    """
    found: list[Record] = []
    for first, second in combinations([run for run in runs if run.n], 2):
        names = {"first": f"{first.short_name} #{first.id}", "second": f"{second.short_name} #{second.id}"}
        try:
            found.append(asdict(compare_runs(first, second, train=train_table(first))) | names | {"reason": ""})
        except InputError as error:
            found.append(names | {"reason": str(error)})
    corrected = iter(holm([pair["p_value"] for pair in found if not pair["reason"]]))
    return [pair if pair["reason"] else _corrected(pair, next(corrected)) for pair in found]


def _corrected(pair: Record, p_value: float) -> Record:
    gain = pair["only_second"] - pair["only_first"]
    return pair | {"p_value": p_value, "verdict": verdict(pair["second"], gain, pair["n"], p_value)}


def _public(rows: Sequence[LeaderboardRow]) -> Any:
    """Validation accuracy against the public score, where both are known."""
    dots = [
        (
            row.accuracy,
            row.public_score,
            f"{row.name}: validation {row.accuracy:.5f}, public {row.public_score:.5f}",
        )
        for row in rows
        if row.accuracy is not None and row.public_score is not None
    ]
    return chart("validation accuracy", "public score", [], dots) if dots else None
