"""`digits compare A B`: two runs on the same held-out rows, or two submissions without answers. Better, or noise?"""

from collections.abc import Sequence
from math import hypot, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import sources, submission
from digit_recognizer.data.csv_reader import LabelledTable, read_train
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Z95, describe_significance, difference_interval, mcnemar
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Row
from digit_recognizer.tracking.run_session import ledger, probabilities, status
from digit_recognizer.utils.console import say
from digit_recognizer.utils.files import read_bytes

PUBLIC_ROWS = 7_000  # about a quarter of test.csv; the public score is computed on these


def compare_two(first: str, second: str, data: Path | None = None) -> dict[str, Any]:
    """Compare two runs of the ledger, or two submission files.

    Raises InputError when a run is not known, when both are not of one kind, or when they share no held-out rows.
    """
    files = [Path(word).is_file() for word in (first, second)]
    if all(files):
        return compare_files(Path(first), Path(second))
    if any(files):
        raise InputError(
            f"compare two runs or two files; {first if files[0] else second} is a file, the other is none."
        )
    with ledger() as book:
        return compare_runs(book.run(first), book.run(second), data)


def compare_runs(first: Row, second: Row, data: Path | None = None) -> dict[str, Any]:
    """Two runs on the rows that both held out: the exact McNemar test, and what that could mean on the board."""
    table = train_table_of([first, second], data)
    rows, (log_p_first, log_p_second) = common_held_out_rows([first, second])
    found = mcnemar(log_p_first.argmax(axis=1), log_p_second.argmax(axis=1), table.labels[rows])
    n, gain = len(rows), found.only_second - found.only_first
    low, high = difference_interval(found, n)
    unsure = public_error((low, high), (found.only_first + found.only_second) / n)
    return {
        "first": first["name"],
        "second": second["name"],
        "n": n,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "difference": gain / n,
        "interval": [low, high],
        "p_value": found.p_value,
        "public_standard_error": unsure,
        "verdict": verdict(run_dir.short_name(second["name"]), gain, n, found.p_value),
        "board": "" if first["source"] == "sample" else _board(gain / n, unsure),
    }


def compare_files(first: Path, second: Path) -> dict[str, Any]:
    """Two submissions without answers: the rows that differ, and the most their scores can."""
    labels = [submission.parse(read_bytes(file, submission.MAX_BYTES), str(file)) for file in (first, second)]
    n = len(labels[0])
    if len(labels[1]) != n:
        raise InputError(f"{first} has {n:,} rows, {second} {len(labels[1]):,}. Compare files for the same test.csv.")
    differ = int((labels[0] != labels[1]).sum())
    public = max(1, round(n / 4))
    most = min(differ, public) / public
    return {
        "first": str(first),
        "second": str(second),
        "n": n,
        "differ": differ,
        "rows": [int(row) + 1 for row in np.flatnonzero(labels[0] != labels[1])],
        "most_public": most,
        "most_private": differ / n,
        "verdict": (
            f"{differ:,} of {n:,} labels differ: the accuracies differ by at most {differ / n:.5f}, the public scores, "
            f"on about a quarter of the rows, by at most {most:.5f}."
            if differ
            else "The two files hold the same labels."
        ),
    }


def common_held_out_rows(chosen: Sequence[Row]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The rows of train.csv that all runs held out, (n,) int, and their log-probabilities of these, (n, 10) each.

    Raises InputError when they held out no rows in common, or a run's probabilities are not its own or cannot be read.
    """
    for run in chosen:
        check_finished(run)
    parts = [probabilities(run) for run in chosen]
    rows = parts[0][0]
    for own, _, _ in parts[1:]:
        rows = np.intersect1d(rows, own)
    if not len(rows):
        none = [run["name"] for run, (own, _, _) in zip(chosen, parts, strict=True) if not len(own)]
        why = f"{' and '.join(none)} held out none" if none else "each held out others"
        raise InputError(f"the runs share no held-out rows: {why}. Repeat them with --folds 5.")
    return rows, [log_p[np.searchsorted(own, rows)] for own, log_p, _ in parts]


def check_finished(run: Row) -> None:
    """Raise InputError for a run that left no probabilities because it did not come to its end."""
    if run["status"] != "done":
        raise InputError(f"run {run['name']} is {status(run)}; only a finished run can be used.")


def train_table_of(chosen: Sequence[Row], data: Path | None) -> LabelledTable:
    """The train.csv that all these runs were trained on, at `data` or where the first found it.

    Raises InputError when they were trained on different ones, or it is not there any more.
    """
    if len({run["train_hash"] for run in chosen}) > 1:
        raise InputError("the runs were trained on different train.csv files and cannot be compared row by row.")
    source = data_source_of(chosen[0], data)
    table = read_train(source.train, sources.CACHE)
    if table.fingerprint != chosen[0]["train_hash"]:
        raise InputError(
            f"{source.place}: expected the train.csv of the runs, {chosen[0]['train_hash']} (size and CRC), received "
            f"{table.fingerprint}. Name its place with --data."
        )
    return table


def data_source_of(run: Row, data: Path | None) -> sources.Source:
    """The data at `data`, or where the run found it. Raises InputError when it is not there any more."""
    place = data or Path(run["data"])
    source = sources.find(place) if place.exists() or data or run["source"] == "sample" else None
    if source is None:
        raise InputError(f"{place}: not there any more. Name the place of the runs' data with --data.")
    return source


def public_error(interval: Sequence[float], variance: float) -> float:
    """One standard error of a public score: that of the estimate with this 95 % interval, and that of the board's rows,
    on each of which the score has this variance."""
    low, high = interval
    return hypot((high - low) / 2 / Z95, sqrt(variance / PUBLIC_ROWS))


def _board(expected: float, unsure: float) -> str:
    return (
        f"public board, about {PUBLIC_ROWS:,} images: expected {expected:+.5f}, standard error {unsure:.5f}, "
        f"one image {1 / PUBLIC_ROWS:.5f}"
    )


def verdict(name: str, gain: int, n: int, p_value: float) -> str:
    """One plain sentence: `gain of 12 images in 42,000 for NAME: could be chance, p = 0.21`."""
    if gain == 0:
        return f"no difference: both have the same number of {n:,} images right"
    what = f"{'gain' if gain > 0 else 'loss'} of {abs(gain):,} image{'s' if abs(gain) > 1 else ''} in {n:,}"
    return f"{what} for {name}: {describe_significance(p_value)}, p = {p_value:.2g}"


def show(found: dict[str, Any]) -> None:
    """Print what `compare_two` found."""
    if "p_value" not in found:
        say(found["verdict"])
        return
    say(f"{found['first']} -> {found['second']}, on the {found['n']:,} rows that both held out")
    say(f"only the first right {found['only_first']:,}, only the second {found['only_second']:,}")
    low, high = found["interval"]
    say(f"difference {found['difference']:+.5f}, 95 % interval {low:+.5f} to {high:+.5f}")
    if found["board"]:
        say(found["board"])
    say(f"{found['verdict']} (exact McNemar test)", style="bold")
