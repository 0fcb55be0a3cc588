"""Submission files graded against an answers file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import submission
from digit_recognizer.data.csv_format import first_line, layout_of
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Score, score
from digit_recognizer.evaluation.significance import McNemar, describe_significance, mcnemar
from digit_recognizer.utils.files import check_target, read_bytes, write_atomically


@dataclass(frozen=True)
class FileGrade:
    """The score of a submission file."""

    file: Path
    score: Score

    def to_json(self) -> dict[str, Any]:
        digits = zip(self.score.precision, self.score.recall, strict=True)
        return {
            "file": str(self.file),
            "correct": self.score.correct,
            "n": self.score.n,
            "accuracy": self.score.accuracy,
            "interval": list(self.score.interval),
            "digits": {
                str(digit): {"precision": _number(precision), "recall": _number(recall)}
                for digit, (precision, recall) in enumerate(digits)
            },
            "costliest": [
                {"answer": answer, "label": label, "images": images}
                for answer, label, images in self.score.top_confusions()
            ],
        }


@dataclass(frozen=True)
class GradeComparison(McNemar):
    """Two files compared by the exact McNemar test."""

    verdict: str


@dataclass(frozen=True)
class Grades:
    """The scores of submission files, and the comparison if there are two."""

    answers: Path
    files: tuple[FileGrade, ...]
    comparison: GradeComparison | None = None
    errors: Path | None = None  # the file with the misclassified rows of the first submission

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"answers": str(self.answers), "files": [file.to_json() for file in self.files]}
        if self.comparison:
            found["comparison"] = asdict(self.comparison)
        if self.errors:
            found["wrong"] = str(self.errors)
        return found


def grade_files(files: Sequence[Path], answers_file: Path, errors: Path | None = None) -> Grades:
    """Grade submission files, and compare two; the misclassified rows of the first are written to `errors`.

    Raises InputError for a file that Kaggle would refuse.
    """
    if errors is not None:
        if errors.resolve() in [file.resolve() for file in (*files, answers_file)]:
            raise InputError(f"`errors` {errors}: is an input and would be overwritten. Choose another name.")
        check_target(errors)
    answers = read_answers(answers_file)
    labels = [submission.parse(read_bytes(file, submission.MAX_BYTES), str(file)) for file in files]
    for file, own in zip(files, labels, strict=True):
        if len(own) != len(answers):
            raise InputError(
                f"{file}: expected {len(answers):,} rows, as in {answers_file}, received {len(own):,}. Use the answers "
                "of the test.csv that the file predicts."
            )
    grades = tuple(FileGrade(file, score(own, answers)) for file, own in zip(files, labels, strict=True))
    if errors is not None:
        rows = np.flatnonzero(labels[0] != answers)
        lines = [f"{row + 1},{labels[0][row]},{answers[row]}\n" for row in rows]
        write_atomically(errors, ("ImageId,Label,Answer\n" + "".join(lines)).encode())
    return Grades(answers_file, grades, _compare(files, labels, answers) if len(files) == 2 else None, errors)


def read_answers(file: Path, n_rows: int | None = None) -> np.ndarray:
    """The labels 0..9, (n,) uint8, of a submission-like CSV or of a labelled Kaggle CSV (label, pixel0, ...).

    Raises InputError for other files, and unless there are `n_rows` rows, if given.
    """
    data = read_bytes(file, submission.MAX_BYTES)
    layout = layout_of(first_line(data))
    if layout is None:
        return submission.parse(data, str(file), n_rows)
    if "label" not in layout.columns:
        raise InputError(
            f"{file}: expected answers (ImageId,Label, or Kaggle's label,pixel0,...), received pixels without labels."
        )
    from digit_recognizer.data import csv_reader  # imports pandas, which most answers do not need

    labels = csv_reader.read_train(csv_reader.CsvFile(file)).labels
    if n_rows is not None and len(labels) != n_rows:
        raise InputError(f"{file}: expected {n_rows:,} rows, one per test image; received {len(labels):,}.")
    return labels


def _compare(files: Sequence[Path], labels: Sequence[np.ndarray], answers: np.ndarray) -> GradeComparison:
    found = mcnemar(labels[0], labels[1], answers)
    lead = found.only_first - found.only_second
    if lead == 0:
        verdict = "Both files have the same number of correct rows."
    else:
        winner = files[0] if lead > 0 else files[1]
        more = f"{abs(lead):,} more of {len(answers):,} rows"
        verdict = f"{winner} predicts {more} correctly: {describe_significance(found.p_value)}."
    counts = f"Correct only in the first: {found.only_first:,}; only in the second: {found.only_second:,}"
    return GradeComparison(**asdict(found), verdict=f"{verdict} {counts} (exact McNemar test).")


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)
