"""Comparison of two runs on the same held-out rows, and of two submissions without answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digit_recognizer.data import sources, submission
from digit_recognizer.data.csv_reader import CsvFile, LabelledTable, read_train
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.significance import (
    PUBLIC_ROWS,
    describe_significance,
    difference_interval,
    mcnemar,
    public_standard_error,
)
from digit_recognizer.tracking.run_dir import run_predictions
from digit_recognizer.tracking.run_record import RunRecord
from digit_recognizer.tracking.run_session import status
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.files import read_bytes


@dataclass(frozen=True)
class RunComparison:
    """Two runs compared on the `n` rows that both held out, by the exact McNemar test."""

    first: str
    second: str
    n: int
    only_first: int  # rows that only the first run predicts correctly
    only_second: int
    difference: float  # accuracy of the second minus that of the first
    interval: tuple[float, float]  # 95 %, of the difference
    p_value: float
    public_standard_error: float  # of the expected difference of public scores
    verdict: str
    board: str  # the expected difference on the public leaderboard; empty for the sample


@dataclass(frozen=True)
class FileComparison:
    """The rows in which two submissions for the same test.csv differ, and the largest difference of their scores."""

    first: str
    second: str
    n: int
    differ: int  # rows
    rows: tuple[int, ...]  # their ImageIds
    most_public: float
    most_private: float
    verdict: str


def compare_runs_or_files(
    first: str, second: str, workspace: Workspace, data: Path | None = None
) -> RunComparison | FileComparison:
    """Compare two runs, named as `Ledger.run` takes them, or two submission files.

    Raises InputError for unknown runs, for a run and a file, and for the reasons of `compare_runs` and `compare_files`.
    """
    files = [Path(word).is_file() for word in (first, second)]
    if all(files):
        return compare_files(Path(first), Path(second))
    if any(files):
        raise InputError(f"expected two runs or two files, received {first} and {second}.")
    with workspace.existing_ledger() as ledger:
        return compare_runs(ledger.run(first), ledger.run(second), data)


def compare_runs(
    first: RunRecord, second: RunRecord, data: Path | None = None, train: LabelledTable | None = None
) -> RunComparison:
    """Compare two runs on the rows that both held out.

    `data` is the location of their train.csv, by default that of the first run; `train` is its table, if it is already
    read. Raises InputError if a run is not finished, if they were trained on different files, or if they share no
    held-out rows.
    """
    check_same_train([first, second])
    table = train or train_table_of([first], data)
    rows, (log_p_first, log_p_second) = common_held_out_rows([first, second])
    found = mcnemar(log_p_first.argmax(axis=1), log_p_second.argmax(axis=1), table.labels[rows])
    n, gain = len(rows), found.only_second - found.only_first
    interval = difference_interval(found, n)
    standard_error = public_standard_error(interval, (found.only_first + found.only_second) / n)
    return RunComparison(
        first=first.name,
        second=second.name,
        n=n,
        only_first=found.only_first,
        only_second=found.only_second,
        difference=gain / n,
        interval=interval,
        p_value=found.p_value,
        public_standard_error=standard_error,
        verdict=verdict(second.short_name, gain, n, found.p_value),
        board="" if first.source == "sample" else _board(gain / n, standard_error),
    )


def compare_files(first: Path, second: Path) -> FileComparison:
    """Compare two submission files. Raises InputError for an invalid file or different numbers of rows."""
    labels = [submission.parse(read_bytes(file, submission.MAX_BYTES), str(file)) for file in (first, second)]
    n = len(labels[0])
    if len(labels[1]) != n:
        raise InputError(f"{first} has {n:,} rows, {second} {len(labels[1]):,}. Compare files for the same test.csv.")
    rows = np.flatnonzero(labels[0] != labels[1]) + 1
    differ = len(rows)
    public = max(1, round(n / 4))
    most = min(differ, public) / public
    text = (
        f"{differ:,} of {n:,} labels differ: the accuracies differ by at most {differ / n:.5f}, the public scores, "
        f"on about a quarter of the rows, by at most {most:.5f}."
        if differ
        else "The two files contain the same labels."
    )
    return FileComparison(str(first), str(second), n, differ, tuple(rows.tolist()), most, differ / n, text)


def common_held_out_rows(runs: Sequence[RunRecord]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the rows of train.csv that all runs held out, (n,) int, and each run's log-probabilities of them, (n, 10).

    Raises InputError if there are no such rows or the predictions of a run cannot be read.
    """
    for run in runs:
        check_finished(run)
    parts = [run_predictions(run) for run in runs]
    rows = parts[0].rows
    for part in parts[1:]:
        rows = np.intersect1d(rows, part.rows)
    if not len(rows):
        raise InputError("the runs share no held-out rows. Repeat them with `folds` 5.")
    return rows, [part.log_p[np.searchsorted(part.rows, rows)] for part in parts]


def check_finished(run: RunRecord) -> None:
    """Raise InputError for a run that is not finished."""
    if run.status != "done":
        raise InputError(f"run {run.name} is {status(run)}; only a finished run can be used.")


def check_same_train(runs: Sequence[RunRecord]) -> None:
    """Raise InputError for runs that were trained on different train.csv files."""
    if len({run.train_hash for run in runs}) > 1:
        raise InputError("the runs were trained on different train.csv files and cannot be compared row by row.")


def train_table_of(
    runs: Sequence[RunRecord], data: Path | None, read: Callable[[CsvFile], LabelledTable] = read_train
) -> LabelledTable:
    """Read the train.csv of these runs, at `data` or the location that the first run used.

    Raises InputError if the runs were trained on different files or the file is missing.
    """
    check_same_train(runs)
    source = data_source_of(runs[0], data)
    table = read(source.train)
    if table.fingerprint != runs[0].train_hash:
        raise InputError(
            f"{source.place}: expected the train.csv of the runs, {runs[0].train_hash} (size and CRC), received "
            f"{table.fingerprint}. Set its location with `data`."
        )
    return table


def data_source_of(run: RunRecord, data: Path | None) -> sources.Source:
    """Return the data at `data`, or at the location that the run used. Raises InputError if it is missing."""
    place = data or run.data_place
    folder = run.submissions.parent / "data"
    source = sources.find(place, folder) if place.exists() or data or run.source == "sample" else None
    if source is None:
        raise InputError(f"{place}: not found. Set the location of the runs' data with `data`.")
    return source


def verdict(name: str, gain: int, n: int, p_value: float) -> str:
    """Return a summary such as "NAME: +12 of 42,000 images correct, not significant, p = 0.21"."""
    return f"{name}: {gain:+,} of {n:,} images correct, {describe_significance(p_value)}"


def _board(expected: float, standard_error: float) -> str:
    return (
        f"public leaderboard, about {PUBLIC_ROWS:,} images: expected {expected:+.5f}, standard error "
        f"{standard_error:.5f}, one image {1 / PUBLIC_ROWS:.5f}"
    )
