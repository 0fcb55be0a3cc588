"""The built-in sample: scikit-learn's 1,797 digits as files in Kaggle's format, for a first try and for tests.

Its images are coarse; scores on it do not transfer to Kaggle's data.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digit_recognizer.data.csv_format import TEST_COLUMNS, TRAIN_COLUMNS
from digit_recognizer.utils.files import write_atomically

N_TRAIN = 1_200  # the other 597 are the test set
SEED = 0
STROKE_SIDE = 20  # as in MNIST: 20 x 20 within 28 x 28, a margin of 4
EDGE = (0.2, 0.8)  # greys outside become black and white; otherwise strokes are blurred
MARKER = "sample.json"  # marks a folder as the sample; written last


def write_sample(folder: Path) -> None:
    """Write train.csv, test.csv, sample_submission.csv and answers.csv, unless they exist.

    The files are the same each time. Raises RunError when the folder cannot be written.
    """
    names = ("train.csv", "test.csv", "sample_submission.csv", "answers.csv", MARKER)
    if all((folder / name).is_file() for name in names):
        return
    for name, content in _files().items():
        write_atomically(folder / name, content)
    write_atomically(folder / MARKER, b"{}\n")


def enlarge(images: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Enlarge (n, 8, 8) images with values from 0 to 16 to (n, 28, 28) uint8, centred, with strokes as in MNIST."""
    from scipy import ndimage

    factor = STROKE_SIDE / 8
    smooth = ndimage.zoom(images / 16, (1, factor, factor), order=3, mode="grid-constant", grid_mode=True)
    dark, bright = EDGE
    strokes = np.clip((smooth - dark) / (bright - dark), 0, 1)
    margin = (28 - STROKE_SIDE) // 2
    return np.pad(np.rint(strokes * 255).astype(np.uint8), ((0, 0), (margin, margin), (margin, margin)))


@cache
def _files() -> dict[str, bytes]:
    """The content of each file, by name."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels = enlarge(digits.images).reshape(-1, 784)
    train_pixels, test_pixels, train_labels, answers = train_test_split(
        pixels, digits.target, train_size=N_TRAIN, stratify=digits.target, random_state=SEED
    )
    ids = np.arange(1, len(answers) + 1)
    submission = ("ImageId", "Label")
    return {
        "train.csv": _csv(TRAIN_COLUMNS, np.column_stack([train_labels, train_pixels])),
        "test.csv": _csv(TEST_COLUMNS, test_pixels),
        "sample_submission.csv": _csv(submission, np.column_stack([ids, np.zeros_like(ids)])),
        "answers.csv": _csv(submission, np.column_stack([ids, answers])),
    }


def _csv(columns: Iterable[str], values: npt.NDArray[np.integer]) -> bytes:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in values.tolist())]
    return ("\n".join(lines) + "\n").encode()
