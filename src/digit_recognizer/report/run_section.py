"""The section of one run in the report, as a record for the template.

A part whose files are missing or damaged is None, and the error message is in `missing`.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data.augmentation import Augmentation, apply_augmentation, draw_coefficients
from digit_recognizer.data.csv_reader import LabelledTable, Table, read_test
from digit_recognizer.data.images import SIDE, to_images
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.diagnostics import calibration, disagreement, label_errors
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.recipes.recipe import network_recipes
from digit_recognizer.report import plots
from digit_recognizer.tracking.compare import data_source_of
from digit_recognizer.tracking.history import read_history
from digit_recognizer.tracking.run_dir import Predictions, read_predictions, run_predictions
from digit_recognizer.tracking.run_record import NetworkRecord, RunRecord

N_GALLERY = 48  # images in each gallery
N_AUGMENTED = 7  # examples of each digit

Record = dict[str, Any]


def run_section(
    run: RunRecord,
    networks: Sequence[NetworkRecord],
    parts: Sequence[RunRecord],
    data: Path | None,
    train_table_of_run: Callable[[RunRecord], LabelledTable],
) -> Record:
    """The section of a run with its `networks`; `parts` are the runs of a blend."""
    record: Record = dict.fromkeys(("curves", "balance", "augmented", "disagreement", "validation"))
    record |= {"run": run, "networks": networks, "missing": []}
    try:
        record["curves"] = _curves(run.folder)
    except InputError as error:
        record["missing"].append(str(error))
    try:
        predictions = run_predictions(run)
        train_table, test_table = train_table_of_run(run), _test_table(run, data)
    except InputError as error:
        record["missing"].append(str(error))
        return record
    own_predictions = _network_predictions(run, parts, len(test_table.pixels))
    return record | {
        "balance": _balance(train_table, test_table, predictions.test_log_p),
        "augmented": _augmented(run, train_table),
        "disagreement": _disagreement(own_predictions, test_table, predictions.test_log_p),
        "validation": _validation(train_table, predictions, own_predictions) if len(predictions.rows) else None,
    }


def data_uri(png: bytes) -> str:
    """A PNG as the source of an HTML image."""
    return "data:image/png;base64," + b64encode(png).decode()


def _test_table(run: RunRecord, data: Path | None) -> Table:
    """The test.csv of the run. Raises InputError if it is missing or has changed."""
    table = read_test(data_source_of(run, data).test)
    if table.fingerprint != run.test_hash:
        raise InputError("test.csv is not the one that the run predicted. Give the original as `data`.")
    return table


def _curves(folder: Path) -> str | None:
    """The learning curves of the networks; None for a blend."""
    files = [*folder.glob("history.csv"), *sorted(folder.glob("members/*/history.csv"))]
    return data_uri(plots.learning_curves([read_history(file) for file in files])) if files else None


def _balance(train: LabelledTable, test: Table, test_log_p: np.ndarray) -> Record:
    """The mean images of train.csv and test.csv, and the percentage of each digit, in test.csv as predicted."""
    train_mean, test_mean = train.pixels.mean(axis=0), test.pixels.mean(axis=0)
    difference = test_mean - train_mean
    largest = float(np.abs(difference).max())
    return {
        "train": _picture(train_mean),
        "test": _picture(test_mean),
        "difference": _picture(difference, "RdBu_r", -largest, largest),
        "largest": largest,
        "percentages": [
            100 * np.bincount(labels, minlength=10) / len(labels)
            for labels in (train.labels, test_log_p.argmax(axis=1))
        ],
    }


def _augmented(run: RunRecord, table: LabelledTable) -> list[Record]:
    """For each augmentation of the run's networks, an image of each digit with augmented examples."""
    if run.is_blend:
        return []
    try:
        recipe = run.recipe
    except InputError:  # of another version
        return []
    models: dict[Augmentation, list[str]] = {}
    for own in network_recipes(recipe):
        if own.augmentation != Augmentation() and own.clean < own.epochs:
            models.setdefault(own.augmentation, []).append(own.model)
    rows = np.concatenate([np.flatnonzero(table.labels == digit)[:1] for digit in range(10)])
    images = to_images(table.pixels[rows])
    found = []
    for augmentation, names in models.items():
        examples = [
            apply_augmentation(images, draw_coefficients(augmentation, len(rows), recipe.seed, epoch))
            for epoch in range(1, N_AUGMENTED + 1)
        ]
        sheet = np.concatenate([images, *examples], axis=2)
        picture = _picture(sheet.reshape(-1, sheet.shape[2]), high=1)
        found.append({"models": ", ".join(dict.fromkeys(names)), "image": picture, "limits": asdict(augmentation)})
    return found


def _network_predictions(run: RunRecord, parts: Sequence[RunRecord], n_test: int) -> dict[str, Predictions]:
    """The predictions of each network, or of each run of a blend, by name.

    Missing and damaged ones, and those of other data, are left out.
    """
    found = {}
    for part in parts:
        if run.blend_weights.get(part.name):
            with suppress(InputError):
                found[part.short_name] = run_predictions(part)
    for file in sorted(run.folder.glob("members/*/probabilities.npz")):
        with suppress(InputError):
            found[file.parent.name] = read_predictions(file.parent)
    shapes = ((0, 10), (n_test, 10))  # networks of some folds do not predict test.csv
    return {
        name: own
        for name, own in found.items()
        if own.log_p.shape == (len(own.rows), 10) and own.test_log_p.shape in shapes
    }


def _disagreement(networks: Mapping[str, Predictions], table: Table, test_log_p: np.ndarray) -> Record | None:
    """The test images on which the networks disagree most; None for fewer than two networks."""
    log_ps = {name: own.test_log_p for name, own in networks.items() if len(own.test_log_p)}
    if len(log_ps) < 2:
        return None
    order, dissent = disagreement([*log_ps.values()])
    return {
        "n": len(order),
        "n_networks": len(log_ps),
        "digits": [
            _digit(table, row, test_log_p[row], {name: log_p[row] for name, log_p in log_ps.items()})
            | {"dissent": int(dissent[row])}
            for row in order[:N_GALLERY]
        ],
    }


def _validation(table: LabelledTable, predictions: Predictions, networks: Mapping[str, Predictions]) -> Record:
    """Confusions, calibration, the most challenging images and likely label errors of the held-out rows."""
    rows, log_p = predictions.rows, predictions.log_p
    labels = table.labels[rows]
    scored, calibrated = score(log_p.argmax(axis=1), labels), calibration(log_p, labels)
    candidates = label_errors(log_p, labels)
    hardest = np.argsort(log_p[np.arange(len(labels)), labels], kind="stable")[:N_GALLERY]

    def labelled_digit(place: int) -> Record:
        row = rows[place]
        votes = {name: own.log_p[own.rows == row][0] for name, own in networks.items() if row in own.rows}
        digit = _digit(table, row, log_p[place], votes)
        return digit | {"label": int(labels[place])}

    return {
        "score": scored,
        "confusion": data_uri(plots.confusion_matrix(scored.confusion)),
        "calibration": calibrated,
        "reliability": data_uri(plots.reliability_curve(calibrated.bins)),
        "n_label_errors": len(candidates),
        "hardest": [labelled_digit(place) for place in hardest],
        "label_errors": [labelled_digit(place) for place in candidates[:N_GALLERY]],
    }


def _digit(table: Table, row: int, log_p: np.ndarray, votes: Mapping[str, np.ndarray]) -> Record:
    """An image, its prediction, and the predictions of single networks, from (10,) log-probabilities."""
    return {
        "image": _picture(table.pixels[row]),
        "row": int(row) + 1,
        **_prediction(log_p),
        "votes": [{"name": name, **_prediction(own)} for name, own in votes.items()],
    }


def _prediction(log_p: np.ndarray) -> Record:
    return {"predicted": int(log_p.argmax()), "confidence": float(np.exp(log_p.max()))}


def _picture(pixels: np.ndarray, cmap: str = "gray_r", low: float = 0, high: float = 255) -> str:
    """Pixels, (784,) or (height, width), as a data URI."""
    return data_uri(plots.picture(pixels if pixels.ndim == 2 else pixels.reshape(SIDE, SIDE), cmap, low, high))
