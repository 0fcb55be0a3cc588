"""Writing, reading and checking submission.csv as bytes.

`parse` accepts every format that Kaggle scores; `check_upload` only the one that `render` writes.
"""

import csv
import io
import re

import numpy as np
import numpy.typing as npt

from digit_recognizer.data.csv_format import identify_other_format
from digit_recognizer.errors import InputError

COLUMNS = ["ImageId", "Label"]
HEADER = b"ImageId,Label\n"
MAX_BYTES = 100_000_000  # of a file that is parsed; Kaggle's 28,000 rows have 212,000
_DIGITS = {str(digit): digit for digit in range(10)}
_COUNT = re.compile("0|[1-9][0-9]{0,8}")  # nine digits fit numpy's integers
_BOM = b"\xef\xbb\xbf"

Labels = npt.NDArray[np.uint8]


def render(labels: np.ndarray) -> bytes:
    """Write (n,) integer labels 0..9, in the order of test.csv, as Kaggle's CSV; the first ImageId is 1.

    Raises ValueError for another shape or type, or a label outside 0..9.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not np.isin(labels, range(10)).all():
        raise ValueError(f"expected (n,) integers 0..9, received {labels.dtype} of shape {labels.shape}")
    rows = (f"{image_id},{label}\n" for image_id, label in enumerate(labels.tolist(), start=1))
    return HEADER + "".join(rows).encode()


def parse(data: bytes, name: str, n_rows: int | None = None) -> Labels:
    """Read a submission: (n,) labels 0..9 in the order of ImageId, whatever the order of the rows.

    CRLF, a BOM, quotes, empty lines and a missing last line end are accepted. `n_rows` is the expected number of
    rows, if known; `name` is the file's name in messages. Raises InputError with line, cause and cure.
    """
    rows = _rows(data, name)
    _check_header(rows[0][1], name)
    ids: list[int] = []
    labels: list[int] = []

    def where(line: int) -> str:
        is_truncated = line == rows[-1][0] and not data.endswith((b"\n", b"\r"))
        return f"{name}, line {line}{', which has no line end' if is_truncated else ''}"

    for line, row in rows[1:]:
        if len(row) != 2:
            raise InputError(f"{where(line)}: expected 2 values, ImageId,Label, received {len(row)}. Write it again.")
        label = _DIGITS.get(row[1])
        if label is None:
            raise InputError(f"{where(line)}: expected a label 0..9, received {_show(row[1])}. Correct it.")
        if not _COUNT.fullmatch(row[0]):
            raise InputError(
                f"{where(line)}: expected a whole ImageId from 1 on, received {_show(row[0])}. Correct it."
            )
        ids.append(int(row[0]))
        labels.append(label)
    if not ids:
        raise InputError(f"{name}: expected a row for each test image below the header, found none.")
    expected = max(ids) if n_rows is None else n_rows
    _check_ids(np.array(ids), [line for line, _ in rows[1:]], expected, name)
    in_order = np.empty(expected, np.uint8)
    in_order[np.array(ids) - 1] = labels
    return in_order


def check_upload(data: bytes, name: str, n_rows: int) -> None:
    """Raise InputError unless `parse` reads `data` and `render` would write the same bytes.

    `n_rows` is the number of test images. A file with the same label in every row is also refused.
    """
    labels = parse(data, name, n_rows)
    if data != render(labels):
        raise InputError(
            f"{name}: Kaggle may accept it, but only the plain format is uploaded: no byte-order mark, the "
            "header ImageId,Label, then 1,7 and so on in order of ImageId, unquoted, each line ended by LF."
        )
    if (labels == labels[0]).all():
        raise InputError(f"{name}: every label is {labels[0]}. Submit the predictions of a trained model.")


def _rows(data: bytes, name: str) -> list[tuple[int, list[str]]]:
    """The lines that are not empty as (line number, values), the header first."""
    if other := identify_other_format(data):
        raise InputError(f"{name}: expected a CSV, received {other[0]}. Name or write a CSV, in UTF-8.")
    try:
        text = data.removeprefix(_BOM).decode()
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: expected UTF-8 text, received other bytes. Save it as CSV UTF-8.") from error
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV ({error}). Write the file again.") from error
    return rows


def _check_header(header: list[str], name: str) -> None:
    if header == COLUMNS:
        return
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise InputError(
            f"{name}, line 1: expected a comma between the values, received {_show(header[0])}. Write it again."
        )
    cure = "Write it without pandas' index (index=False)." if header[1:] == COLUMNS else "Rename the two columns."
    received = ",".join(_show(column)[1:-1] for column in header[:5])[:100]
    raise InputError(f"{name}, line 1: expected the header ImageId,Label, received {received}. {cure}")


def _check_ids(ids: npt.NDArray[np.int64], lines: list[int], n: int, name: str) -> None:
    """Raise InputError unless each of 1..n occurs once, in any order."""
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if unique[0] == 0:
        raise InputError(f"{name}, line {lines[first[0]]}: ImageId 0; count from 1 to {n}, not from 0.")
    if counts.max() > 1:
        again = np.delete(np.arange(len(ids)), first)[0]
        n_repeated = int((counts > 1).sum())
        raise InputError(
            f"{name}, line {lines[again]}: ImageId {ids[again]} again; expected each of 1 to {n} once, "
            f"received {n_repeated:,} more than once."
        )
    if len(ids) != n or unique[-1] != n:
        gaps = np.flatnonzero(unique != np.arange(1, len(ids) + 1))
        missing = gaps[0] + 1 if len(gaps) else len(ids) + 1
        fault = f"the first missing one is {missing}" if missing <= n else f"the last one is {unique[-1]}"
        raise InputError(f"{name}: expected {n:,} rows with ImageId 1 to {n}, received {len(ids):,}; {fault}.")


def _show(text: str) -> str:
    """The text quoted and shortened, for messages."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
