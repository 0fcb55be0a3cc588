"""history.csv, the metrics of each epoch of a training."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from io import StringIO
from pathlib import Path

from digit_recognizer.errors import InputError
from digit_recognizer.utils.files import read_bytes, write_atomically

_TOO_LARGE = 1e12  # for any number of an epoch


@dataclass(frozen=True)
class Epoch:
    """The log-loss (nats) and accuracy of an epoch; validation is None when no rows are held out."""

    epoch: int  # from 1
    loss: float  # mean over the epoch's batches, of augmented images, each before its step
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float = field(compare=False)  # since the training began


_COLUMNS = [column.name for column in fields(Epoch)]


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the epochs as CSV; None becomes an empty cell. Raises RunError on failure."""
    text = StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(epoch) for epoch in history)
    write_atomically(path, text.getvalue().encode())


def read_history(path: Path) -> tuple[Epoch, ...]:
    """Read what `write_history` wrote.

    Raises InputError if the file is missing or not a history. It has no checksum, so any plausible number is accepted.
    """
    try:
        header, *rows = csv.reader(StringIO(read_bytes(path).decode()), strict=True)
        if header != _COLUMNS or not rows:
            raise ValueError(f"expected epochs below {','.join(_COLUMNS)}")
        return tuple(_epoch(number, row) for number, row in enumerate(rows, start=1))
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path}: not the history of a training ({error}). Repeat that run.") from error


def _epoch(number: int, row: list[str]) -> Epoch:
    """Return the epoch of a row. Raises ValueError if it cannot be that of epoch `number`."""
    cells = {name: float(cell) if cell else None for name, cell in zip(_COLUMNS, row, strict=True)}
    empty = [name for name, value in cells.items() if value is None]
    if (
        cells["epoch"] != number
        or empty not in ([], ["validation_loss", "validation_accuracy"])
        or not all(0 <= value < _TOO_LARGE for value in cells.values() if value is not None)
    ):
        raise ValueError(f"line {number + 1}: expected the numbers of epoch {number}, received {','.join(row)[:80]!r}")
    return Epoch(**cells | {"epoch": number})  # type: ignore[arg-type]  # the empty ones are those that may be
