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
from digit_recognizer.report import plots
from digit_recognizer.report.leaderboard import LeaderboardRow, filled_columns, leaderboard
from digit_recognizer.report.run_section import Record, data_uri, run_section
from digit_recognizer.tracking.compare import compare_runs, train_table_of, verdict
from digit_recognizer.tracking.ledger import now
from digit_recognizer.tracking.run_record import RunRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.environment import versions

N_COMPARED = 5  # of the best runs, if fewer than two are named
TrainTable = Callable[[RunRecord], LabelledTable]


def gather(
    workspace: Workspace, words: Sequence[str] = (), data: Path | None = None, studies: Sequence[Any] = ()
) -> Record:
    """The content of the page: the named runs, by default the best run of the ledger and the `studies`.

    Raises InputError for unknown runs or data, and if no run is finished.
    """
    if data:
        sources.find(data, workspace.data)
    rows = leaderboard(workspace)
    with workspace.existing_ledger() as ledger:
        named = list({run.id: run for run in map(ledger.run, words)}.values())
        if not rows and not named:
            raise InputError("the ledger has no finished run. Train one with `digits run`.")
        by_id = {run.id: run for run in ledger.runs()}
        best = [by_id[row.id] for row in rows[:N_COMPARED]]
        shown = named or best[:1]
        networks = {run.id: ledger.networks(run.id) for run in shown}
        parts = {run.id: [ledger.run(name) for name in run.blend_weights] for run in shown if run.is_blend}
    read = cache(read_train)  # as each pair of runs needs the table

    def train_table(run: RunRecord) -> LabelledTable:
        return train_table_of([run], data, read)

    return {
        "made": now(),
        "versions": versions(),
        "board": rows,
        "columns": filled_columns(rows),
        "public": _public(rows),
        "comparisons": _comparisons(_compared(named, best), train_table),
        "studies": [] if named else studies,
        "runs": [run_section(run, networks[run.id], parts.get(run.id, []), data, train_table) for run in shown],
    }


def _compared(named: list[RunRecord], best: list[RunRecord]) -> list[RunRecord]:
    """The named runs; if there are fewer than two, the best runs precede them in ascending order."""
    if len(named) > 1:
        return named
    return [*(run for run in best[::-1] if run not in named), *named]


def _comparisons(runs: Sequence[RunRecord], train_table: TrainTable) -> list[Record]:
    """McNemar's test of each pair of runs with held-out rows; p is corrected for the number of pairs.

    For a pair that cannot be compared, `reason` is the error message.
    """
    found: list[Record] = []
    for first, second in combinations([run for run in runs if run.n], 2):
        names = {"first": f"{first.short_name} #{first.id}", "second": f"{second.short_name} #{second.id}"}
        try:
            found.append(asdict(compare_runs(first, second, train=train_table(first))) | names | {"reason": ""})
        except InputError as error:
            found.append(names | {"reason": str(error)})
    tested = [pair for pair in found if not pair["reason"]]
    for pair, p_value in zip(tested, holm([pair["p_value"] for pair in tested]), strict=True):
        gain = pair["only_second"] - pair["only_first"]
        pair |= {"p_value": p_value, "verdict": verdict(pair["second"], gain, pair["n"], p_value)}
    return found


def _public(rows: Sequence[LeaderboardRow]) -> str | None:
    """The plot of validation accuracy and public score of the runs that have both."""
    points = [
        (f"#{row.id}", row.accuracy, row.public_score)
        for row in rows
        if row.accuracy is not None and row.public_score is not None
    ]
    return data_uri(plots.public_scores(points)) if points else None
