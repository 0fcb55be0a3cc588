"""The guards, each taken away: a promise whose trials do not notice that shows nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def writer() -> None:
    """Files are opened and written, as anybody does."""
    from digit_recognizer.tracking import history, run_dir, run_session
    from digit_recognizer.utils import arrays

    def write_plainly(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(data), 512):
                file.write(data[start : start + 512])

    for module in (arrays, history, run_dir, run_session):
        module.write_atomically = write_plainly


def reader() -> None:
    """CSVs are read by pandas, as anybody does."""
    import io

    import pandas as pd

    from digit_recognizer.data import csv_reader

    def read_plainly(content: Any, columns: tuple[str, ...]) -> Any:
        return pd.read_csv(io.BytesIO(content), dtype="uint8").to_numpy()

    csv_reader.parse_plain = read_plainly


def gate() -> None:
    """Every file is sent."""
    from digit_recognizer.data import submission

    submission.check_upload = lambda data, name, n_rows: None


def look() -> None:
    """A file is sent without a look at what Kaggle has."""
    from digit_recognizer.competition import api

    api._find = lambda sha256, status: []


def once() -> None:
    """What came to no clear answer is done again, the call that makes the entry, too."""
    from digit_recognizer.competition import api

    def impatiently(attempt: Any, status: Any) -> Any:
        answer = attempt()
        return answer if answer.value else attempt()

    api._with_retries = impatiently


def memory() -> None:
    """What the ledger knows of an upload whose fate is not clear is forgotten."""
    from digit_recognizer.tracking import run_record

    run_record.UNCLEAR_STATES = ()


def numbers() -> None:
    """Nobody looks whether a value is a number."""
    from digit_recognizer.utils import arrays

    arrays._not_finite = lambda arrays: None


GUARDS: dict[str, Callable[[], None]] = {f.__name__: f for f in (writer, reader, gate, look, once, memory, numbers)}
