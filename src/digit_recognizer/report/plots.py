"""Plots as PNG bytes, drawn by Matplotlib without pyplot, which has global state.

Matplotlib is imported by the functions, with its own defaults.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data.csv_reader import LabelledTable
from digit_recognizer.data.images import to_images
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.utils.files import write_atomically

Histories = Sequence[Sequence[Any]]  # the epochs of each network

COLUMNS = 8  # digits in a row
_BESIDE = 4  # pixels between them


def write_plots(
    folder: Path,
    table: LabelledTable,
    rows: np.ndarray,
    log_p: np.ndarray,
    histories: Histories,
    warning: Callable[[str], None],
) -> None:
    """Write the plots of a run to its folder; a failure is reported to `warning`, as the run itself is complete.

    These are sample digits, learning curves unless it is a blend, and the confusion matrix and the most challenging
    digits if rows were held out. `log_p` is (n, 10), for the held-out `rows` (n,) of train.csv.
    """
    try:
        for name, png in _run_plots(table, rows, log_p, histories):
            write_atomically(folder / f"{name}.png", png)
    except Exception as error:  # whatever Matplotlib, its fonts or a full memory raise
        warning(f"{folder}: plots are missing ({type(error).__name__}: {error}).")


def _run_plots(
    table: LabelledTable, rows: np.ndarray, log_p: np.ndarray, histories: Histories
) -> Iterator[tuple[str, bytes]]:
    """The names of the plots and their PNGs, one after the other."""

    def pick(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return to_images(table.pixels[rows], side=28), table.labels[rows]

    few = [np.flatnonzero(table.labels == digit)[:COLUMNS] for digit in range(10)]
    yield "sample-digits", sample_digits(*pick(np.concatenate(few)))
    if histories:
        yield "learning-curves", learning_curves(histories)
    if len(rows):
        images, labels = pick(rows)
        yield "confusion-matrix", confusion_matrix(score(log_p.argmax(axis=1), labels).confusion)
        yield "challenging-digits", challenging_digits(images, labels, np.exp(log_p))


@contextmanager
def matplotlib_defaults() -> Iterator[None]:
    """Matplotlib's defaults, whatever the user's matplotlibrc sets."""
    from matplotlib import style

    with style.context("default", after_reset=True):
        yield


@matplotlib_defaults()
def sample_digits(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Eight images of each digit, one digit per row, from (n, side, side, 1) images and (n,) labels."""
    side = images.shape[1]
    digits = np.zeros((10, COLUMNS, side, side))
    for digit in range(10):
        found = images[labels == digit][:COLUMNS, ..., 0]
        digits[digit, : len(found)] = found
    figure = _figure(COLUMNS * 0.8, 8.4)
    _draw_digits(figure, "Training images", digits, gap=4)
    return _png(figure)


@matplotlib_defaults()
def learning_curves(histories: Histories) -> bytes:
    """Log-loss and error rate by epoch, from the history of each network."""
    from matplotlib.ticker import LogLocator, NullFormatter

    curves = [("train", [(r.epoch, r.loss, 100 * (1 - r.accuracy)) for r in history]) for history in histories]
    for history in histories:
        if history[0].validation_loss is not None:
            points = [(r.epoch, r.validation_loss, 100 * (1 - r.validation_accuracy)) for r in history]
            curves.append(("validation", points))
    colours = {"train": "C0", "validation": "C1"}
    figure = _figure(9, 3.6)
    titles = ("log-loss", "error rate, %")
    for position, (axis, title) in enumerate(zip(figure.subplots(1, 2), titles, strict=True), start=1):
        lowest = np.inf
        for name, points in curves:
            values = [point[position] for point in points]
            marker = "." if len(histories) == 1 or len(points) == 1 else ""  # a line of one point is invisible
            axis.plot([point[0] for point in points], values, marker=marker, color=colours[name], label=name)
            lowest = min(lowest, *values, np.inf)
        axis.set(title=title, xlabel="epoch", yscale="log" if lowest > 0 else "linear")  # zero has no logarithm
        axis.xaxis.get_major_locator().set_params(integer=True)
        if lowest > 0:
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.3, which="both")
        lines, names = axis.get_legend_handles_labels()
        once = dict(zip(names, lines, strict=True))  # one entry per colour
        axis.legend(once.values(), once.keys())
    return _png(figure)


@matplotlib_defaults()
def confusion_matrix(confusion: np.ndarray) -> bytes:
    """(10, 10) counts, [true label, prediction]; correct ones are grey to emphasise errors."""
    wrong = confusion - np.diag(confusion.diagonal())
    figure = _figure(6, 5.6)
    axis = figure.subplots()
    axis.imshow(wrong, cmap="Reds", vmin=0, vmax=max(1, wrong.max()))
    for true, predicted in np.argwhere(confusion):
        is_dark = wrong[true, predicted] > 0.6 * wrong.max()
        colour = "grey" if true == predicted else "white" if is_dark else "black"
        axis.text(predicted, true, str(confusion[true, predicted]), ha="center", va="center", color=colour)
    axis.set(title="Confusion matrix (validation)", xlabel="prediction", ylabel="true label")
    axis.set(xticks=range(10), yticks=range(10))
    return _png(figure)


@matplotlib_defaults()
def challenging_digits(images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> bytes:
    """The 40 images with the lowest probability of the true label, with prediction and confidence."""
    worst = np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")[: 5 * COLUMNS]
    side = images.shape[1]
    digits = np.zeros((5 * COLUMNS, side, side))
    digits[: len(worst)] = images[worst, ..., 0]
    captions = []
    for row in worst:
        prediction = probabilities[row].argmax()
        text = f"true {labels[row]}\npredicted {prediction} ({probabilities[row, prediction]:.0%})"
        captions.append((text, "firebrick" if prediction != labels[row] else "black"))
    figure = _figure(COLUMNS * 1.4, 8.6)
    title = "Validation images with the lowest probability of the true label"
    _draw_digits(figure, title, digits.reshape(5, COLUMNS, side, side), gap=10, captions=captions)
    return _png(figure)


@matplotlib_defaults()
def reliability_curve(bins: Sequence[tuple[float, float, int]]) -> bytes:
    """Accuracy by confidence, from `Calibration.bins`; the diagonal is perfect calibration."""
    confidence, accuracy, _ = zip(*bins, strict=True)
    figure = _figure(4.5, 3.6)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="grey", linestyle="dashed")
    axis.plot(confidence, accuracy, marker="o")
    axis.set(title="reliability curve", xlabel="confidence", ylabel="accuracy")
    axis.grid(alpha=0.3)
    return _png(figure)


@matplotlib_defaults()
def public_scores(points: Sequence[tuple[str, float, float]]) -> bytes:
    """Public score by validation accuracy, from (label, validation accuracy, public score) of each run."""
    figure = _figure(6, 4)
    axis = figure.subplots()
    for label, accuracy, public in points:
        axis.plot(accuracy, public, marker="o", color="C0")
        axis.annotate(label, (accuracy, public), textcoords="offset points", xytext=(5, 5))
    axis.set(xlabel="validation accuracy", ylabel="public score")
    axis.margins(0.1)
    axis.ticklabel_format(useOffset=False)
    axis.grid(alpha=0.3)
    return _png(figure)


@matplotlib_defaults()
def picture(pixels: np.ndarray, cmap: str = "gray_r", low: float = 0, high: float = 255) -> bytes:
    """(height, width) pixels, of which `low` and `high` have the first and last colour of the colour map."""
    from matplotlib.image import imsave

    buffer = BytesIO()
    imsave(buffer, pixels, cmap=cmap, vmin=low, vmax=high, format="png")
    return buffer.getvalue()


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_digits(
    figure: Any, title: str, digits: np.ndarray, gap: int, captions: Sequence[tuple[str, str]] = ()
) -> None:
    """Draw (rows, columns, side, side) images as a single one, a second faster than with axes for each.

    `captions`, texts and their colours, are drawn in the `gap` pixels above the images.
    """
    sheet, places = side_by_side(digits, gap)
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axis.axis("off")
    for (x, y), (text, colour) in zip(places, captions, strict=False):
        axis.text(x, y, text, ha="center", va="bottom", fontsize=9, color=colour)
    axis.set_title(title)


def side_by_side(digits: np.ndarray, gap: int) -> tuple[np.ndarray, list[tuple[float, int]]]:
    """(rows, columns, side, side) images as one, with `gap` pixels above each.

    Also returns (x, y) of the middle of each gap's lower edge, row by row.
    """
    apart = np.pad(digits, ((0, 0), (0, 0), (gap, 0), (_BESIDE // 2, _BESIDE // 2)))
    n_rows, n_columns, height, width = apart.shape
    sheet = apart.swapaxes(1, 2).reshape(n_rows * height, n_columns * width)
    return sheet, [((c + 0.5) * width, r * height + gap - 1) for r in range(n_rows) for c in range(n_columns)]


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
