"""Blends: weighted averages of the stored predictions of finished runs."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation import blend_weights
from digit_recognizer.evaluation.metrics import validate
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.report.plots import write_plots
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.compare import check_finished, common_held_out_rows, train_table_of
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_dir import Predictions
from digit_recognizer.tracking.run_record import RunHeader, RunRecord, RunResult
from digit_recognizer.tracking.run_session import finish_run, open_run
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.reporter import SILENT, Reporter

METHODS = {"greedy": blend_weights.greedy, "equal": blend_weights.equal}


def blend_runs(
    words: Sequence[str],
    workspace: Workspace,
    weights: str = "greedy",
    name: str = "blend",
    data: Path | None = None,
    reporter: Reporter = SILENT,
) -> RunResult:
    """Blend runs of the ledger, named as for `Ledger.run`, into a new run.

    Weights are chosen on held-out rows, and the validation is nested: each row is predicted with weights chosen without
    it. A blend among the runs is replaced by its own runs. `data` is the location of the runs' train.csv, by default
    that of the first run. Raises InputError for unknown or unfinished runs, for runs on different data, and for greedy
    weights of runs that share too few held-out rows.
    """
    start = time.perf_counter()
    run_dir.check_name(name)
    if weights not in METHODS:
        raise InputError(f"`weights` {weights}: expected {' or '.join(METHODS)}.")
    with workspace.existing_ledger() as ledger:
        parts = {run.id: run for word in words for run in _trained_runs(ledger, ledger.run(word), reporter)}
        runs = list(parts.values())
        if len(runs) < 2:
            raise InputError("a blend needs at least two different runs. `digits leaderboard` lists them.")
        for part in runs:
            check_finished(part)
        if len({run.test_hash for run in runs}) > 1:
            raise InputError("the runs predicted different test.csv files and cannot be blended.")
        table = train_table_of(runs, data)
        rows, run_weights, log_p = _weigh(runs, weights, table.labels)
        test_log_p = average_log_p([run_dir.run_predictions(run).test_log_p for run in runs], run_weights)
        predictions = Predictions(rows, log_p, test_log_p)
        by_name = {run.name: weight for run, weight in zip(runs, run_weights, strict=True)}
        recipe, first = {"weights": weights, "runs": by_name}, runs[0]
        header = RunHeader("blend", "blend", recipe, first.data, first.source, first.train_hash, first.test_hash)
        with open_run(ledger, name, header) as run:
            submission, sha256 = run_dir.write_submission(run.folder, test_log_p.argmax(axis=1))
            run_dir.write_record(run.folder, "recipe", recipe)
            run_dir.write_predictions(run.folder, predictions)
            used = [part for part in runs if by_name[part.name] > 0]
            seconds = sum(part.seconds_train or 0.0 for part in used)
            result = RunResult(
                run=run.name,
                recipe="blend",
                weights=sum(part.weights or 0 for part in used),
                submission=submission,
                submission_sha256=sha256,
                validation=validate(log_p, table.labels[rows]),
                runs=by_name,
                seconds={"train": seconds, "total": time.perf_counter() - start},
            )
            is_out_of_fold = all(part.estimate == "out-of-fold" for part in runs)
            finish_run(run, result, is_out_of_fold, workspace.newest_submission)
        write_plots(run.folder, table, rows, log_p, (), reporter.warning)
    return result


def _weigh(runs: Sequence[RunRecord], weights: str, labels: np.ndarray) -> tuple[np.ndarray, list[float], np.ndarray]:
    """The common held-out rows, the weights of the runs, and the nested log-probabilities of those rows."""
    method = METHODS[weights]
    if weights == "equal" and not all(run.estimate for run in runs):
        none = np.empty((0, 10), np.float32)
        return np.empty(0, int), method([none] * len(runs), none), none
    rows, log_ps = common_held_out_rows(runs)
    fewest, least = int(np.bincount(labels[rows], minlength=10).min()), min(run.n or 0 for run in runs)
    if fewest < blend_weights.N_FOLDS or len(rows) < least / 2:
        raise InputError(
            f"the runs share only {len(rows):,} held-out rows of {least:,}, too few to validate a blend. Repeat them "
            "with `folds` 5, or with the same `seed`, which determines the held-out rows."
        )
    return rows, method(log_ps, labels[rows]), blend_weights.nested(method, log_ps, labels[rows])


def _trained_runs(ledger: Ledger, run: RunRecord, reporter: Reporter) -> list[RunRecord]:
    """The run itself, or the runs of a blend, whose own weights depend on the labels of all rows."""
    if not run.is_blend:
        return [run]
    reporter.info(f"{run.name} is a blend: it is replaced by its runs, which get new weights.")
    return [own for name in run.blend_weights for own in _trained_runs(ledger, ledger.run(name), reporter)]
