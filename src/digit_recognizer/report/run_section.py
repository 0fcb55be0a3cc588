"""The report's section of one run, as plain records.

Parts are left out, and named, when their files are missing: data, predictions or a history.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data.augmentation import Augmentation, apply_augmentation, draw_coefficients
from digit_recognizer.data.csv_reader import LabelledTable, Table, read_test
from digit_recognizer.data.images import SIDE, to_images
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.diagnostics import calibration, disagreement, label_errors
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import Recipe, network_recipes
from digit_recognizer.report.charts import Line, chart
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
    record: Record = dict.fromkeys(("score", "disagreement", "balance", "augmented", "curves"))
    record |= {"run": run, "name": run.short_name, "members": networks, "missing": []}
    record["notes"] = ["A blend is not trained, so only its runs have learning curves."] if run.is_blend else []
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
    rows, log_p = predictions.rows, predictions.log_p
    record["balance"] = _balance(train_table, test_table, predictions.test_log_p)
    record["augmented"] = _augmented(run, train_table)
    members = _member_predictions(run, parts, len(test_table.pixels))
    record["disagreement"] = _disagreement(members, test_table, predictions.test_log_p)
    if not len(rows):
        record["notes"].append("This run held out no rows, so it has no validation.")
        return record
    labels = train_table.labels[rows]
    record |= _validation(log_p, labels)
    given = log_p[np.arange(len(labels)), labels]
    hardest = np.argsort(given, kind="stable")[:N_GALLERY]
    record["hardest"] = [_digit(train_table, rows, log_p, place, members) for place in hardest]
    candidates = label_errors(log_p, labels)
    record["n_label_errors"] = len(candidates)
    record["label_errors"] = [_digit(train_table, rows, log_p, place, members) for place in candidates[:N_GALLERY]]
    return record


def _test_table(run: RunRecord, data: Path | None) -> Table:
    """The test.csv of the run. Raises InputError when it is missing or has changed."""
    table = read_test(data_source_of(run, data).test)
    if table.fingerprint != run.test_hash:
        raise InputError("test.csv is not the one that the run predicted. Give the original as `data`.")
    return table


def _validation(log_p: np.ndarray, labels: np.ndarray) -> Record:
    """Confusions, per-digit figures and calibration on the held-out rows."""
    scored = score(log_p.argmax(axis=1), labels)
    worst = max(1, int((scored.confusion - np.diag(scored.confusion.diagonal())).max()))
    cells = [
        {
            "true": true,
            "predicted": predicted,
            "n": int(n),
            "wrong": 0 if true == predicted else round(int(n) / worst, 3),
        }
        for true, row in enumerate(scored.confusion)
        for predicted, n in enumerate(row)
    ]
    digits = [
        {"digit": digit, "n": int(n), "wrong": int(n - right), "precision": float(precision), "recall": float(recall)}
        for digit, (n, right, precision, recall) in enumerate(
            zip(
                scored.confusion.sum(axis=1),
                scored.confusion.diagonal(),
                scored.precision,
                scored.recall,
                strict=True,
            )
        )
    ]
    found = calibration(log_p, labels)
    curve = chart(
        "confidence",
        "accuracy",
        [
            Line("ideal", [(0, 0), (1, 1)], "perfect calibration"),
            Line("validation", [(confidence, accuracy) for confidence, accuracy, _ in found.bins], "this run"),
        ],
        [(x, y, f"{n:,} images: confidence {x:.3f}, accuracy {y:.3f}") for x, y, n in found.bins],
    )
    return {
        "score": {"correct": scored.correct, "n": scored.n, "accuracy": scored.accuracy, "interval": scored.interval},
        "confusion": cells,
        "digits": digits,
        "calibration": {**asdict(found), "chart": curve},
    }


def _curves(folder: Path) -> Record | None:
    """Log-loss over the epochs of each network, held-out and training, and its error rate."""
    histories = [*folder.glob("history.csv"), *sorted(folder.glob("members/*/history.csv"))]
    if not histories:
        return None
    losses, errors = [], []
    for file in histories:
        history = read_history(file)
        name = "" if file.parent == folder else file.parent.name
        points = {"train": [(epoch.epoch, epoch.loss, epoch.accuracy) for epoch in history]}
        points["validation"] = [
            (epoch.epoch, epoch.validation_loss, epoch.validation_accuracy)
            for epoch in history
            if epoch.validation_loss is not None and epoch.validation_accuracy is not None
        ]
        for kind, kept in points.items():
            title = f"{name} {kind}".strip()
            if kept:
                losses.append(Line(kind, [(epoch, loss) for epoch, loss, _ in kept], title))
                errors.append(Line(kind, [(epoch, 100 * (1 - accuracy)) for epoch, _, accuracy in kept], title))
    return {
        "loss": chart("epoch", "log-loss", losses, whole_x=True, log_y=True),
        "error": chart("epoch", "error rate, %", errors, whole_x=True, log_y=True),
    }


def _augmented(run: RunRecord, table: LabelledTable) -> list[Record]:
    """An image of each digit, original and augmented, for each augmentation of the run's networks."""
    if run.is_blend:
        return []
    try:
        recipe = run.recipe
    except InputError:  # of another version
        return []
    ways: dict[Augmentation, list[Recipe]] = {}
    for own in network_recipes(recipe):
        if own.augmentation != Augmentation() and own.clean < own.epochs:
            ways.setdefault(own.augmentation, []).append(own)
    rows = np.concatenate([np.flatnonzero(table.labels == digit)[:1] for digit in range(10)])
    found = []
    for way, owns in ways.items():
        side = max(MODELS[own.model].side for own in owns)
        images = to_images(table.pixels[rows], side, owns[0].fit)
        shown = [
            apply_augmentation(images, draw_coefficients(way, len(rows), recipe.seed, epoch))
            for epoch in range(1, N_AUGMENTED + 1)
        ]
        sheet = np.concatenate([images, *shown], axis=2).reshape(-1, (1 + N_AUGMENTED) * side)
        found.append(
            {
                "models": ", ".join(dict.fromkeys(own.model for own in owns)),
                "image": _png(255 * sheet),
                "way": asdict(way),
            }
        )
    return found


def _member_predictions(run: RunRecord, parts: Sequence[RunRecord], n_test: int) -> dict[str, Predictions]:
    """The predictions of each network, or of a blend's runs, by name.

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


def _disagreement(members: Mapping[str, Predictions], table: Table, test_log_p: np.ndarray) -> Record | None:
    """The test images on which the networks disagree most."""
    log_ps = {name: own.test_log_p for name, own in members.items() if len(own.test_log_p)}
    if len(log_ps) < 2:
        return None
    order, dissent = disagreement([*log_ps.values()])
    return {
        "n": len(order),
        "n_members": len(log_ps),
        "digits": [
            {
                "image": _png(table.pixels[row]),
                "row": int(row) + 1,
                "predicted": int(test_log_p[row].argmax()),
                "confidence": float(np.exp(test_log_p[row].max())),
                "dissent": int(dissent[row]),
                "votes": _votes({name: log_p[row] for name, log_p in log_ps.items()}),
            }
            for row in order[:N_GALLERY]
        ],
    }


def _digit(
    table: LabelledTable, rows: np.ndarray, log_p: np.ndarray, place: int, members: Mapping[str, Predictions]
) -> Record:
    """An image of train.csv and the predictions of networks that held it out."""
    row = rows[place]
    predicted = int(log_p[place].argmax())
    votes = {name: own.log_p[own.rows == row][0] for name, own in members.items() if row in own.rows}
    return {
        "image": _png(table.pixels[row]),
        "row": int(row) + 1,
        "label": int(table.labels[row]),
        "predicted": predicted,
        "confidence": float(np.exp(log_p[place, predicted])),
        "given": float(np.exp(log_p[place, table.labels[row]])),
        "votes": _votes(votes),
    }


def _votes(log_ps: Mapping[str, np.ndarray]) -> list[Record]:
    return [
        {"name": name, "predicted": int(log_p.argmax()), "confidence": float(np.exp(log_p.max()))}
        for name, log_p in log_ps.items()
    ]


def _balance(train: LabelledTable, test: Table, test_log_p: np.ndarray) -> Record:
    """How train and test differ: their mean images, and the share of each digit (in test as predicted)."""
    means = train.pixels.mean(axis=0), test.pixels.mean(axis=0)
    shares = [
        100 * np.bincount(labels, minlength=10) / len(labels) for labels in (train.labels, test_log_p.argmax(axis=1))
    ]
    most = max(share.max() for share in shares)
    difference = means[1] - means[0]
    return {
        "train": _png(means[0]),
        "test": _png(means[1]),
        "difference": _png(difference, diverging=True),
        "largest": float(np.abs(difference).max()),
        "digits": [
            {"digit": digit, "train": float(a), "test": float(b), "train_bar": a / most, "test_bar": b / most}
            for digit, (a, b) in enumerate(zip(*shares, strict=True))
        ],
    }


def _png(pixels: np.ndarray, diverging: bool = False) -> str:
    """Pixels, (784,) or (height, width), as a data URI: ink black on white, or differences blue to red."""
    from matplotlib.image import imsave

    buffer = BytesIO()
    picture = pixels if pixels.ndim == 2 else pixels.reshape(SIDE, SIDE)
    if diverging:
        most = max(1e-9, float(np.abs(picture).max()))
        imsave(buffer, picture, cmap="RdBu_r", vmin=-most, vmax=most, format="png")
    else:
        imsave(buffer, picture, cmap="gray_r", vmin=0, vmax=255, format="png")
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
