"""Counts and value ranges of the data, and warnings of likely faults such as transposed images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digit_recognizer.data.csv_reader import LabelledTable, Table

ENOUGH_IMAGES = 100  # for a reliable mean image; 500 random samples of 100 MNIST images gave no warning
ON_ITS_SIDE = 0.9  # height to width of the ink: MNIST 1.34, any 100 images above 1.2; transposed below 0.83


@dataclass(frozen=True)
class Inspection:
    """The result of `inspect`; ink is a pixel's value, 0 to 255."""

    n_train: int
    n_test: int
    images_per_digit: tuple[int, ...]
    value_range: tuple[int, int]
    mean_ink_train: float
    mean_ink_test: float
    n_duplicates: int  # train images equal to an earlier one
    n_overlap: int  # test images equal to one in train
    notes: tuple[str, ...]  # what differs from the form of Kaggle's files
    warnings: tuple[str, ...]


def inspect(train: LabelledTable, test: Table) -> Inspection:
    """Count, compare and check the images of both tables."""
    train_images, test_images = _as_bytes(train), _as_bytes(test)
    known = set(train_images)
    n_duplicates = len(train_images) - len(known)
    n_overlap = sum(image in known for image in test_images)
    train_mean, test_mean = train.pixels.mean(axis=0), test.pixels.mean(axis=0)
    warnings = [*image_warnings("train", train.pixels), *image_warnings("test", test.pixels)]
    if n_duplicates:
        warnings.append(
            f"train: {n_duplicates:,} images are duplicates; a copy may be held out, "
            "which makes the validation optimistic"
        )
    if n_overlap:
        warnings.append(f"test: {n_overlap:,} images also occur in train.csv, so the test score is too optimistic")
    return Inspection(
        n_train=len(train_images),
        n_test=len(test_images),
        images_per_digit=tuple(np.bincount(train.labels, minlength=10).tolist()),
        value_range=(
            int(min(train.pixels.min(), test.pixels.min())),
            int(max(train.pixels.max(), test.pixels.max())),
        ),
        mean_ink_train=float(train_mean.mean()),
        mean_ink_test=float(test_mean.mean()),
        n_duplicates=n_duplicates,
        n_overlap=n_overlap,
        notes=tuple(f"{name}.csv has {table.note}" for name, table in (("train", train), ("test", test)) if table.note),
        warnings=tuple(warnings),
    )


def _as_bytes(table: Table) -> list[bytes]:
    """Each image as a bytes object, which is hashable."""
    n_pixels = table.pixels.shape[1]
    images: list[bytes] = table.pixels.view(f"V{n_pixels}").ravel().tolist()
    return images


def image_warnings(name: str, pixels: npt.NDArray[np.uint8]) -> list[str]:
    """Warnings of likely faults of (n, 784) pixels: inverted, transposed, empty or scaled images."""
    warnings: list[str] = []
    if not len(pixels):
        return warnings
    highest = int(pixels.max())
    if highest <= 16:
        scale = "0 to 1" if highest <= 1 else "0 to 16"
        warnings.append(f"{name}: expected pixels up to 255, received {highest} at most: scaled {scale}?")
    if n_empty := int(np.count_nonzero(~pixels.any(axis=1))):
        warnings.append(f"{name}: {n_empty:,} images are empty, all their pixels are 0")
    if len(pixels) < ENOUGH_IMAGES or not highest:
        return warnings
    picture = pixels.mean(axis=0).reshape(28, 28)
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    if edge.mean() > picture.mean():
        warnings.append(f"{name}: expected bright ink on black, received dark ink on white: inverted?")
        picture = picture.max() - picture
    if _spread(picture.sum(axis=1)) < ON_ITS_SIDE * _spread(picture.sum(axis=0)):
        warnings.append(f"{name}: expected digits taller than wide, received wider ones: transposed or rotated?")
    return warnings


def _spread(ink: npt.NDArray[np.float64]) -> float:
    """The standard deviation of the ink's position: (28,) ink by row or by column -> pixels."""
    position, share = np.arange(len(ink)), ink / ink.sum()
    return float(np.sqrt(share @ (position - share @ position) ** 2))
