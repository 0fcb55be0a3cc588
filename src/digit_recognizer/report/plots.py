"""Plots as PNG bytes, drawn by Matplotlib without pyplot, which has global state."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from digit_recognizer.data.csv_reader import LabelledTable
from digit_recognizer.data.images import to_images
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.utils.files import write_atomically

Histories = Sequence[Sequence[Any]]  # the epochs of each network

COLUMNS = 8  # digits in a row
_BESIDE = 4  # pixels between them


def write_plots(folder: Path, table: LabelledTable, rows: np.ndarray, log_p: np.ndarray, histories: Histories) -> None:
    """Write the plots of a run to its folder.

    These are sample digits, learning curves unless it is a blend, and the confusion matrix and the most challenging
    digits if rows were held out. `log_p` is (n, 10), for the held-out `rows` (n,) of train.csv.
    """

    def pick(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return to_images(table.pixels[rows], side=28), table.labels[rows]

    few = [np.flatnonzero(table.labels == digit)[:COLUMNS] for digit in range(10)]
    drawn = {"sample-digits": sample_digits(*pick(np.concatenate(few)))}
    if histories:
        drawn["learning-curves"] = learning_curves(histories)
    if len(rows):
        images, labels = pick(rows)
        confusion = score(log_p.argmax(axis=1), labels).confusion
        drawn["confusion-matrix"] = confusion_matrix(confusion)
        drawn["challenging-digits"] = challenging_digits(images, labels, np.exp(log_p))
    for name, png in drawn.items():
        write_atomically(folder / f"{name}.png", png)


def sample_digits(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Eight images of each digit, one digit per row, from (n, side, side, 1) images and (n,) labels."""
    side = images.shape[1]
    digits = np.zeros((10, COLUMNS, side, side))
    for digit in range(10):
        found = images[labels == digit][:COLUMNS, ..., 0]
        digits[digit, : len(found)] = found
    figure = Figure(figsize=(COLUMNS * 0.8, 8.4), layout="constrained")
    _draw_digits(figure, "Training images", digits, gap=4)
    return _png(figure)


def learning_curves(histories: Histories) -> bytes:
    """Log-loss and error rate by epoch, from the history of each network."""
    curves = [("train", [(r.epoch, r.loss, 100 * (1 - r.accuracy)) for r in history]) for history in histories]
    for history in histories:
        if history[0].validation_loss is not None:
            points = [(r.epoch, r.validation_loss, 100 * (1 - r.validation_accuracy)) for r in history]
            curves.append(("validation", points))
    colours = {"train": "C0", "validation": "C1"}
    figure = Figure(figsize=(9, 3.6), layout="constrained")
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


def confusion_matrix(confusion: np.ndarray) -> bytes:
    """(10, 10) counts, [true label, prediction]; correct ones are grey to emphasise errors."""
    wrong = confusion - np.diag(confusion.diagonal())
    figure = Figure(figsize=(6, 5.6), layout="constrained")
    axis = figure.subplots()
    axis.imshow(wrong, cmap="Reds", vmin=0, vmax=max(1, wrong.max()))
    for true, predicted in np.argwhere(confusion):
        is_dark = wrong[true, predicted] > 0.6 * wrong.max()
        colour = "grey" if true == predicted else "white" if is_dark else "black"
        axis.text(predicted, true, str(confusion[true, predicted]), ha="center", va="center", color=colour)
    axis.set(title="Confusion matrix (validation)", xlabel="prediction", ylabel="true label")
    axis.set(xticks=range(10), yticks=range(10))
    return _png(figure)


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
    figure = Figure(figsize=(COLUMNS * 1.4, 8.6), layout="constrained")
    title = "Validation images with the lowest probability of the true label"
    _draw_digits(figure, title, digits.reshape(5, COLUMNS, side, side), gap=10, captions=captions)
    return _png(figure)


def reliability_curve(bins: Sequence[tuple[float, float, int]]) -> bytes:
    """Accuracy by confidence, from `Calibration.bins`; the diagonal is perfect calibration."""
    confidence, accuracy, _ = zip(*bins, strict=True)
    figure = Figure(figsize=(4.5, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="grey", linestyle="dashed")
    axis.plot(confidence, accuracy, marker="o")
    axis.set(title="reliability curve", xlabel="confidence", ylabel="accuracy")
    axis.grid(alpha=0.3)
    return _png(figure)


def public_scores(points: Sequence[tuple[str, float, float]]) -> bytes:
    """Public score by validation accuracy, from (label, validation accuracy, public score) of each run."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for label, accuracy, public in points:
        axis.plot(accuracy, public, marker="o", color="C0")
        axis.annotate(label, (accuracy, public), textcoords="offset points", xytext=(5, 5))
    axis.set(xlabel="validation accuracy", ylabel="public score")
    axis.margins(0.1)
    axis.ticklabel_format(useOffset=False)
    axis.grid(alpha=0.3)
    return _png(figure)


def _draw_digits(
    figure: Figure, title: str, digits: np.ndarray, gap: int, captions: Sequence[tuple[str, str]] = ()
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


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
