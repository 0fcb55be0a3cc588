"""Small CSVs in Kaggle's format, and changes of single cells, as bytes."""

import zipfile
from pathlib import Path

import numpy as np

from digit_recognizer.data.csv_reader import CsvFile

PIXELS = [f"pixel{i}" for i in range(784)]


def values(n: int = 20, seed: int = 0) -> np.ndarray:
    """(n, 785) numbers: the labels 0, 1, ... 9, 0, ... and pixels, most of them 0 as in real images."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 784)) * (rng.random((n, 784)) < 0.2)
    return np.column_stack([np.arange(n) % 10, pixels])


def csv_bytes(columns: list[str], rows: np.ndarray) -> bytes:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows.tolist())]
    return ("\n".join(lines) + "\n").encode()


def kaggle_train(n: int = 20, seed: int = 0) -> bytes:
    return csv_bytes(["label", *PIXELS], values(n, seed))


def kaggle_test(n: int = 20, seed: int = 1) -> bytes:
    return csv_bytes(PIXELS, values(n, seed)[:, 1:])


def with_cell(data: bytes, line: int, column: int, text: str) -> bytes:
    """Replace one cell; lines count from 1, the header, and columns from 0."""
    lines = data.split(b"\n")
    cells = lines[line - 1].split(b",")
    cells[column] = text.encode()
    lines[line - 1] = b",".join(cells)
    return b"\n".join(lines)


def written(folder: Path, data: bytes) -> CsvFile:
    """Write the data to a file."""
    (folder / "some.csv").write_bytes(data)
    return CsvFile(folder / "some.csv")


def kaggle_zip(path: Path, **members: bytes) -> Path:
    """Write a zip with `train=...` as train.csv and so on."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.csv", data)
    return path
