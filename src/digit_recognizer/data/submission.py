"""Writing, reading and checking submission.csv as bytes.

`parse` accepts every format that Kaggle scores; `check_upload` only the one that `render` writes.
"""

import csv
import io
import re
import reprlib

import numpy as np
import numpy.typing as npt

from digit_recognizer.data.file_formats import identify_other_format
from digit_recognizer.errors import InputError

COLUMNS = ["ImageId", "Label"]
HEADER = b"ImageId,Label\n"
MAX_BYTES = 100_000_000  # of a file that is parsed; Kaggle's 28,000 rows have 212,000
_DIGITS = frozenset("0123456789")
_COUNT = re.compile("[1-9][0-9]{0,8}")
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
    rows, if known; `name` is the file's name in messages. Raises InputError with line, cause and remedy.
    """
    (_, header), *rows = _rows(data, name)
    if header != COLUMNS:
        received = reprlib.repr(",".join(header))
        raise InputError(
            f"{name}, line 1: expected the header ImageId,Label, received {received}. {_header_remedy(header)}"
        )
    n = len(rows)
    if not n:
        raise InputError(f"{name}: expected a row for each test image below the header, found none.")
    if n_rows not in (None, n):
        raise InputError(f"{name}: expected {n_rows:,} rows with ImageId 1 to {n_rows}, received {n:,}.")
    labels: dict[int, int] = {}
    for line, row in rows:
        where = f"{name}, line {line}"
        if len(row) != 2:
            raise InputError(f"{where}: expected 2 values, ImageId,Label, received {len(row)}. Write it again.")
        image_id, label = row
        if label not in _DIGITS:
            remedy = "`frame = frame.astype({'Label': int})`" if label[:1] + ".0" == label else "Correct it."
            raise InputError(f"{where}: expected a label 0..9, received {reprlib.repr(label)}. {remedy}")
        if not _COUNT.fullmatch(image_id) or int(image_id) > n:
            received = reprlib.repr(image_id)
            raise InputError(f"{where}: expected an integer ImageId from 1 to {n}, received {received}. Correct it.")
        if int(image_id) in labels:
            raise InputError(f"{where}: expected each ImageId once, received {image_id} again. Correct it.")
        labels[int(image_id)] = int(label)
    return np.array([labels[image_id] for image_id in range(1, n + 1)], np.uint8)


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


def _header_remedy(header: list[str]) -> str:
    """How to write the labels of a file with other columns; `frame` is what pandas reads from it."""
    if header[1:] == COLUMNS:
        return "Write it without pandas' index (index=False)."
    if header == COLUMNS[::-1]:
        return "`frame = frame[['ImageId', 'Label']]`"
    if len(header) in (10, 11):  # probabilities or one-hot labels, perhaps after the ImageId
        labels = "frame.iloc[:, -10:].to_numpy().argmax(axis=1)"
        return f"`frame = pandas.DataFrame({{'ImageId': range(1, len(frame) + 1), 'Label': {labels}}})`"
    return "Rename the columns." if len(header) == 2 else "Write these two columns alone."


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
