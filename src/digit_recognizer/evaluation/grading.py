"""Submission files x answers file -> the report of `digits score`: read, score, compare, show."""

from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import submission
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Score, describe_significance, mcnemar, score
from digit_recognizer.utils.console import say, show_table
from digit_recognizer.utils.files import check_target, read_bytes, write_atomically

_COSTLIEST = 5  # confusions shown


def score_files(files: tuple[Path, ...], answers_file: Path, wrong: Path | None = None) -> dict[str, Any]:
    """Score submission files, compare two; writes the wrong rows of the first to `wrong`.

    Raises InputError with Kaggle's reason for a file that Kaggle would refuse.
    """
    if wrong is not None and wrong.resolve() in [file.resolve() for file in (*files, answers_file)]:
        raise InputError(f"--wrong {wrong}: that file is read here and would be overwritten. Choose another name.")
    if wrong is not None:
        check_target(wrong)
    answers = read_answers(answers_file)
    labels = [_read_labels(file, answers_file, len(answers)) for file in files]
    result: dict[str, Any] = {
        "answers": str(answers_file),
        "files": [_record(file, score(own, answers)) for file, own in zip(files, labels, strict=True)],
    }
    if len(files) == 2:
        result["comparison"] = _comparison(files, labels, answers)
    if wrong is not None:
        rows = np.flatnonzero(labels[0] != answers)
        lines = [f"{row + 1},{labels[0][row]},{answers[row]}\n" for row in rows]
        write_atomically(wrong, ("ImageId,Label,Answer\n" + "".join(lines)).encode())
        result["wrong"] = str(wrong)
    return result


def _read_labels(file: Path, answers_file: Path, n_rows: int) -> np.ndarray:
    """The labels of a submission; a whole one of another length may be right, and the answers another test set's."""
    data = read_bytes(file, submission.MAX_BYTES)
    try:
        return submission.parse(data, str(file), n_rows)
    except InputError:
        n = len(submission.parse(data, str(file)))  # tells what else is wrong with it
        if n == n_rows:
            raise
        answer = f" Kaggle would answer: {submission.missing_ids_answer(n_rows - n)}" if n < n_rows else ""
        raise InputError(
            f"{file}: {n:,} rows, but {answers_file} has {n_rows:,}. Give the answers to these images.{answer}"
        ) from None


def read_answers(file: Path, n_rows: int | None = None) -> np.ndarray:
    """The labels 0..9, (n,) uint8, of a submission-like CSV or of a labelled Kaggle CSV (label, pixel0, ...).

    Raises InputError when it is neither, or has other than `n_rows` rows.
    """
    data = read_bytes(file, submission.MAX_BYTES)
    if b"pixel" not in data[:200]:
        try:
            return submission.parse(data, str(file), n_rows)
        except InputError as error:
            raise InputError(submission.strip_kaggle_answer(str(error))) from None
    if b"label" not in data[:200]:
        raise InputError(
            f"{file}: expected answers (ImageId,Label, or Kaggle's label,pixel0,...), received pixels without labels. "
            "Kaggle keeps the answers to test.csv; score rows whose labels you have."
        )
    from digit_recognizer.data import csv_reader  # pandas, which the common case does without

    labels = csv_reader.read_train(csv_reader.CsvFile(file)).labels
    if n_rows is not None and len(labels) != n_rows:
        raise InputError(f"{file}: expected {n_rows:,} rows, one per test image; received {len(labels):,}.")
    return labels


def show(result: dict[str, Any]) -> None:
    """Print what `score_files` found."""
    for scored in result["files"]:
        _show_file(scored)
    if "comparison" in result:
        say(result["comparison"]["verdict"], style="bold")
    if "wrong" in result:
        first = result["files"][0]
        say(f"Wrote the {first['n'] - first['correct']:,} wrong rows of {first['file']} to {result['wrong']}.")


def _show_file(scored: dict[str, Any]) -> None:
    low, high = scored["interval"]
    say(
        f"{scored['file']}: {scored['correct']:,} of {scored['n']:,} right, accuracy {scored['accuracy']:.5f} "
        f"(95 % interval {low:.5f} to {high:.5f})",
        style="bold",
    )
    show_table(
        ["digit", "precision", "recall"],
        [[digit, _part(row["precision"]), _part(row["recall"])] for digit, row in scored["digits"].items()],
    )
    confusions = [f"{cell['answer']} labelled {cell['label']}: {cell['images']:,}" for cell in scored["costliest"]]
    say(f"costliest confusions   {'   '.join(confusions) or 'none'}")


def _record(file: Path, scored: Score) -> dict[str, Any]:
    digits = zip(scored.precision, scored.recall, strict=True)
    return {
        "file": str(file),
        "correct": scored.correct,
        "n": scored.n,
        "accuracy": scored.accuracy,
        "interval": list(scored.interval),
        "digits": {
            str(digit): {"precision": _number(precision), "recall": _number(recall)}
            for digit, (precision, recall) in enumerate(digits)
        },
        "costliest": [
            {"answer": answer, "label": label, "images": images}
            for answer, label, images in scored.costliest(_COSTLIEST)
        ],
    }


def _comparison(files: tuple[Path, ...], labels: list[np.ndarray], answers: np.ndarray) -> dict[str, Any]:
    found = mcnemar(labels[0], labels[1], answers)
    lead = found.only_first - found.only_second
    if np.array_equal(labels[0], labels[1]):
        verdict = "The two files hold the same labels."
    elif lead == 0:
        verdict = "Neither wins: both have the same number right."
    else:
        winner = files[0] if lead > 0 else files[1]
        lot = f"{abs(lead):,} more right of {len(answers):,}"
        verdict = f"{winner} has {lot}: {describe_significance(found.p_value)}, p = {found.p_value:.2g}."
    counts = f"Rows that only the first has right: {found.only_first:,}; only the second: {found.only_second:,}"
    return {
        "only_first": found.only_first,
        "only_second": found.only_second,
        "p_value": found.p_value,
        "verdict": f"{verdict} {counts} (exact McNemar test).",
    }


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return None if np.isnan(value) else float(value)


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
