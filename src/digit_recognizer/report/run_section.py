"""One run -> its part of the page, as plain records. Refuses to know markup.

What the run has lost, its data, its probabilities or a history, is left out and said so.
"""

import json
from base64 import b64encode
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import sources
from digit_recognizer.data.augmentation import Augmentation, apply_augmentation, draw_coefficients
from digit_recognizer.data.csv_reader import LabelledTable, Table, read_test
from digit_recognizer.data.images import SIDE, to_images
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.diagnostics import calibration, disagreement, label_errors
from digit_recognizer.evaluation.metrics import score
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import Recipe, from_record, network_recipes
from digit_recognizer.report.charts import Line, chart
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.tracking.compare import data_source_of, train_table_of
from digit_recognizer.tracking.ledger import Row

N_GALLERY = 48  # images: of each kind
N_DISTORTED = 7  # examples of each digit

Record = dict[str, Any]


def run_section(run: Row, members: list[Row], data: Path | None) -> Record:
    """The part of the page about one run."""
    record: Record = dict.fromkeys(("score", "disputed", "balance", "distorted", "curves"))
    record |= {"run": run, "name": run_dir.short_name(run["name"]), "members": members, "missing": []}
    record["notes"] = ["A blend is not trained itself: its runs have the curves."] if run["kind"] == "blend" else []
    try:
        record["curves"] = _curves(run_dir.folder_of(run))
    except InputError as error:
        record["missing"].append(str(error))
    try:
        rows, log_p, test_log_p = run_session.probabilities(run)
        train_table, test_table = _tables(run, data)
    except InputError as error:
        record["missing"].append(str(error))
        return record
    record["balance"] = _balance(train_table, test_table, test_log_p)
    record["distorted"] = _distorted(run, train_table)
    voices = _voices(run, len(test_table.pixels))
    record["disputed"] = _disputed(voices, test_table, test_log_p)
    if not len(rows):
        record["notes"].append("This run held no rows out: nothing can be said of its mistakes.")
        return record
    labels = train_table.labels[rows]
    record |= _judged(log_p, labels)
    given = log_p[np.arange(len(labels)), labels]
    hardest = np.argsort(given, kind="stable")[:N_GALLERY]
    record["hardest"] = [_digit(train_table, rows, log_p, place, voices) for place in hardest]
    candidates = label_errors(log_p, labels)
    record["n_label_errors"] = len(candidates)
    record["label_errors"] = [_digit(train_table, rows, log_p, place, voices) for place in candidates[:N_GALLERY]]
    return record


def _tables(run: Row, data: Path | None) -> tuple[LabelledTable, Table]:
    """The data the run was made of. Raises InputError when it is not there any more."""
    table = train_table_of([run], data)
    test = read_test(data_source_of(run, data).test, sources.CACHE)
    if test.fingerprint != run["test_hash"]:
        raise InputError("test.csv is another one than the run was made of. Name its place with --data.")
    return table, test


def _judged(log_p: np.ndarray, labels: np.ndarray) -> Record:
    """Confusions, per-digit figures and calibration on the held-out rows."""
    scored = score(log_p.argmax(axis=1), labels)
    worst = max(1, int((scored.confusion - np.diag(scored.confusion.diagonal())).max()))
    cells = [
        {"true": true, "said": said, "n": int(n), "wrong": 0 if true == said else round(int(n) / worst, 3)}
        for true, row in enumerate(scored.confusion)
        for said, n in enumerate(row)
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
            Line("validation", [(sure, true) for sure, true, _ in found.bins], "this run"),
        ],
        [(sure, true, f"{n:,} images: confidence {sure:.3f}, accuracy {true:.3f}") for sure, true, n in found.bins],
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
        table = run_dir.read_history(file)
        name = "" if file.parent == folder else file.parent.name
        for kind, prefix in (("train", ""), ("validation", "validation_")):
            kept = [row for row in table if row[f"{prefix}loss"] is not None]
            title = f"{name} {kind}".strip()
            if kept:
                losses.append(Line(kind, [(r["epoch"], r[f"{prefix}loss"]) for r in kept], title))
                rates = [(r["epoch"], 100 * (1 - r[f"{prefix}accuracy"])) for r in kept]
                errors.append(Line(kind, rates, title))
    return {
        "loss": chart("epoch", "log-loss", losses, whole_x=True, log_y=True),
        "error": chart("epoch", "error rate, %", errors, whole_x=True, log_y=True),
    }


def _distorted(run: Row, table: LabelledTable) -> list[Record]:
    """For each way in which the run's networks distort: an image of each digit, as it is and in examples."""
    if run["kind"] == "blend":
        return []
    try:
        recipe = from_record(json.loads(run["recipe"]))
    except InputError:  # of another version
        return []
    ways: dict[Augmentation, list[Recipe]] = {}
    for own in network_recipes(recipe):
        if own.distortion != Augmentation() and own.clean < own.epochs:
            ways.setdefault(own.distortion, []).append(own)
    rows = np.concatenate([np.flatnonzero(table.labels == digit)[:1] for digit in range(10)])
    found = []
    for way, owns in ways.items():
        side = max(MODELS[own.model].side for own in owns)
        images = to_images(table.pixels[rows], side, owns[0].fit)
        shown = [
            apply_augmentation(images, draw_coefficients(way, len(rows), recipe.seed, epoch))
            for epoch in range(1, N_DISTORTED + 1)
        ]
        sheet = np.concatenate([images, *shown], axis=2).reshape(-1, (1 + N_DISTORTED) * side)
        found.append(
            {
                "models": ", ".join(dict.fromkeys(own.model for own in owns)),
                "image": _png(255 * sheet),
                "way": asdict(way),
            }
        )
    return found


def _voices(run: Row, n_test: int) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """(name, held-out rows, their log-probabilities, test log-probabilities) of each network, or of a blend's runs.

    What is lost, damaged or of other data has no voice: it is no reason to show nothing.
    """
    found = []
    if run["kind"] == "blend":
        names = [name for name, weight in json.loads(run["recipe"])["runs"].items() if weight]
        with run_session.ledger() as book:
            chosen = [own for own in book.runs() if own["name"] in names]
        for own in sorted(chosen, key=lambda own: names.index(own["name"])):
            with suppress(InputError):
                found.append((run_dir.short_name(own["name"]), *run_session.probabilities(own)))
    else:
        for file in sorted(run_dir.folder_of(run).glob("members/*/probabilities.npz")):
            with suppress(InputError):
                found.append((file.parent.name, *run_dir.read_probabilities(file.parent)))
    shapes = ((0, 10), (n_test, 10))  # those of folds whose networks do not label the test set say nothing of it
    return [voice for voice in found if voice[2].shape == (len(voice[1]), 10) and voice[3].shape in shapes]


def _disputed(voices: list[Any], table: Table, test_log_p: np.ndarray) -> Record | None:
    """The test images on which the networks disagree most."""
    speaking = [(name, log_p) for name, _, _, log_p in voices if len(log_p)]
    if len(speaking) < 2:
        return None
    order, dissent = disagreement([log_p for _, log_p in speaking])
    return {
        "n": len(order),
        "n_members": len(speaking),
        "digits": [
            {
                "image": _png(table.pixels[row]),
                "row": int(row) + 1,
                "said": int(test_log_p[row].argmax()),
                "confidence": float(np.exp(test_log_p[row].max())),
                "dissent": int(dissent[row]),
                "votes": _votes([(name, log_p[row]) for name, log_p in speaking]),
            }
            for row in order[:N_GALLERY]
        ],
    }


def _digit(table: LabelledTable, rows: np.ndarray, log_p: np.ndarray, place: int, voices: list[Any]) -> Record:
    """One image of train.csv and what was said of it by those that never saw it."""
    row = rows[place]
    said = int(log_p[place].argmax())
    heard = [(name, own_log_p[at]) for name, own, own_log_p, _ in voices if (at := _index(own, row)) is not None]
    return {
        "image": _png(table.pixels[row]),
        "row": int(row) + 1,
        "label": int(table.labels[row]),
        "said": said,
        "confidence": float(np.exp(log_p[place, said])),
        "given": float(np.exp(log_p[place, table.labels[row]])),
        "votes": _votes(heard),
    }


def _index(rows: np.ndarray, row: int) -> int | None:
    at = int(np.searchsorted(rows, row))
    return at if at < len(rows) and rows[at] == row else None


def _votes(heard: list[tuple[str, np.ndarray]]) -> list[Record]:
    return [
        {"name": name, "said": int(log_p.argmax()), "confidence": float(np.exp(log_p.max()))} for name, log_p in heard
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
