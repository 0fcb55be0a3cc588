"""A blend: finished runs averaged into a run of its own from their stored predictions, without training."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation import blend_weights
from digit_recognizer.evaluation.metrics import validate
from digit_recognizer.evaluation.prediction import average_log_p
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
    """Blend runs of the ledger, named as `Ledger.run` takes them, into a new run.

    Weights are chosen on held-out rows, and the validation is nested: each row is predicted with weights chosen without
    it. A blend among the runs stands for the runs it is made of. `data` is the place of the runs' train.csv, by default
    where the first found it. Raises InputError for unknown, unfinished or different runs, and when greedy weights are
    wanted for runs that held nothing out.
    """
    start = time.perf_counter()
    run_dir.check_name(name)
    if weights not in METHODS:
        raise InputError(f"`weights` {weights}: expected {' or '.join(METHODS)}.")
    with workspace.existing_ledger() as ledger:
        parts = {run.id: run for word in words for run in _trained_runs(ledger, ledger.run(word), reporter)}
        runs = list(parts.values())
        _check(runs)
        table = train_table_of(runs, data)
        rows, shares, log_p = _weigh(runs, weights, table.labels)
        test_log_p = average_log_p([run_dir.run_predictions(run).test_log_p for run in runs], shares)
        predictions = Predictions(rows, log_p, test_log_p)
        by_name = {run.name: share for run, share in zip(runs, shares, strict=True)}
        header = _header(runs[0], weights, by_name)
        with open_run(ledger, name, header) as run:
            submission, sha256 = run_dir.write_submission(run.folder, test_log_p.argmax(axis=1))
            run_dir.write_record(run.folder, "recipe", header.recipe)
            run_dir.write_predictions(run.folder, predictions)
            from digit_recognizer.report.plots import write_plots  # matplotlib takes half a second to import

            write_plots(run.folder, table, rows, log_p, ())
            used = [part for part in runs if by_name[part.name] > 0]
            result = RunResult(
                run=run.name,
                recipe="blend",
                weights=sum(part.weights or 0 for part in used),
                submission=submission,
                submission_sha256=sha256,
                validation=validate(log_p, table.labels[rows]),
                runs=by_name,
                seconds={
                    "train": sum(part.seconds_train or 0.0 for part in used),
                    "total": time.perf_counter() - start,
                },
            )
            is_out_of_fold = all(part.estimate == "out-of-fold" for part in runs)
            finish_run(run, result, is_out_of_fold, workspace.newest_submission)
    return result


def _header(first: RunRecord, weights: str, by_name: dict[str, float]) -> RunHeader:
    recipe = {"weights": weights, "runs": by_name}
    return RunHeader("blend", "blend", recipe, first.data, first.source, first.train_hash, first.test_hash)


def _weigh(runs: Sequence[RunRecord], weights: str, labels: np.ndarray) -> tuple[np.ndarray, list[float], np.ndarray]:
    """The common held-out rows, the runs' weights, and the nested log-probabilities of those rows."""
    method = METHODS[weights]
    if weights == "equal" and not all(run.estimate for run in runs):
        none = np.empty((0, 10), np.float32)
        return np.empty(0, int), method([none] * len(runs), none), none
    rows, log_ps = common_held_out_rows(runs)
    fewest, least = int(np.bincount(labels[rows], minlength=10).min()), min(run.n or 0 for run in runs)
    if fewest < blend_weights.N_FOLDS or len(rows) < least / 2:
        raise InputError(
            f"the runs share only {len(rows):,} held-out rows of {least:,}, too few to validate a blend. Repeat them "
            "with `folds` 5, or with one `seed`, which decides the rows that are held out."
        )
    return rows, method(log_ps, labels[rows]), blend_weights.nested(method, log_ps, labels[rows])


def _trained_runs(ledger: Ledger, run: RunRecord, reporter: Reporter) -> list[RunRecord]:
    """The run, or the runs that a blend is made of, as the weights of a blend have seen all labels."""
    if not run.is_blend:
        return [run]
    reporter.info(f"{run.name} is a blend: new weights are chosen for the runs it is made of.")
    return [own for name in run.blend_weights for own in _trained_runs(ledger, ledger.run(name), reporter)]


def _check(runs: Sequence[RunRecord]) -> None:
    if len(runs) < 2:
        raise InputError("a blend needs two different runs or more. `digits leaderboard` lists them.")
    for run in runs:
        check_finished(run)
    if len({run.test_hash for run in runs}) > 1:
        raise InputError("the runs predicted different test.csv files and cannot be blended.")
