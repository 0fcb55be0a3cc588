"""The main job, step by step: data -> training -> submission.csv -> score. Alone knows paths, clock and printing.

`submissions/<run>/` gets submission.csv, recipe.json, history.csv, probabilities.npz, weights.npz, result.json
and pictures; `submissions/submission.csv` is the newest run's file.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from . import competition, runs, sources, submission, tables
from .errors import InputError, RunError
from .files import read_bytes, write_atomically
from .images import to_images
from .inspection import Inspection, inspect
from .models import MODELS
from .recipes import Recipe
from .score import score
from .scorecard import read_answers
from .terminal import progress, quietly, say, show_table

DATA = Path("data")
CACHE = DATA / ".cache"


@dataclass(frozen=True)
class Job:
    """What the user asked for; None where nothing was said."""

    name: str  # of the recipe
    recipe: Recipe
    data: Path | None = None
    answers: Path | None = None
    run_name: str | None = None
    submit: bool = False
    message: str = ""
    again: bool = False


@dataclass(frozen=True)
class Outcome:
    """What training and predicting leave: the network, its history, log-probabilities (n, 10), how well they fit."""

    model: Any
    history: tuple[Any, ...]
    validation_rows: np.ndarray  # (n_validation,) int, rows of train.csv from 0
    validation_log_p: np.ndarray
    test_log_p: np.ndarray
    fits: dict[str, Any]  # "train" and, when rows are held out, "validation": Fitness


def run(job: Job) -> dict[str, Any]:
    """Do the whole job and return the record that `--json` prints.

    Raises InputError, before any training, when data, answers or name are wrong or the data cannot be
    submitted; RunError when training, writing or Kaggle fails.
    """
    watch = _Stopwatch()
    run_name = runs.check_name(job.run_name or job.name)
    source = find_data(job.data)
    if job.submit:
        check_can_submit(source)
    with watch.of("read"):
        train_table = tables.read_train(source.train, CACHE)
        test_table = tables.read_test(source.test, CACHE)
        answers = read_answers(job.answers, len(test_table.pixels)) if job.answers else None
    show_input(inspect(train_table, test_table))
    folder = runs.new_run(run_name, datetime.now())
    try:
        outcome = train_and_predict(job.recipe, train_table, test_table, watch)
        labels = outcome.test_log_p.argmax(axis=1)
        file = write_run(folder, job.recipe, outcome, train_table, labels)
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # only when nothing was written
        raise
    result = {
        "run": folder.name,
        "recipe": job.name,
        "model": job.recipe.model,
        "weights": outcome.model.count_params(),
        "data": source.describe(),
        **{part: asdict(fit) for part, fit in outcome.fits.items()},
        "submission": str(file),
        "submission_sha256": sha256(read_bytes(file)).hexdigest(),
        "seconds": watch.seconds(),
    }
    if answers is not None:
        result["score"] = score_test(labels, outcome.test_log_p, answers)
    runs.write_result(folder, result)
    show_result(result)
    if job.submit:
        result["kaggle"] = send(file, job.message, len(labels), job.again)
    return result


def find_data(path: Path | None) -> sources.Source:
    """The data that --data, or its absence, means, told in one line; downloads it where credentials allow."""
    source = sources.find(path)
    if source is None and competition.find_credentials():
        competition.download(DATA, say)
        source = sources.find(None)
    if source is None:
        source = sources.sample_source()
    say(source.describe())
    return source


def check_can_submit(source: sources.Source) -> None:
    """Raise InputError when an upload is bound to fail, so that no training is spent on it."""
    if source.kind == "sample":
        raise InputError(
            "--submit: the built-in sample is not Kaggle's test set. Get the real files with `digits download`, "
            f"or from {competition.SITE}/data into data/."
        )
    if not competition.find_credentials():
        raise InputError(
            f"--submit: no Kaggle credentials found. Make a token at {competition.SETTINGS} and save it as "
            "~/.kaggle/access_token, or set KAGGLE_API_TOKEN."
        )


def train_and_predict(recipe: Recipe, train_table: Any, test_table: Any, watch: "_Stopwatch") -> Outcome:
    """Train on train.csv less the held-out rows, and predict all of train.csv and test.csv."""
    with quietly("Loading Keras and its backend"):
        from . import train
        from .predict import fitness, log_probabilities

        train.start_backend()
    labels, side = train_table.labels, MODELS[recipe.model].side
    images = to_images(train_table.pixels, side, recipe.fit)
    fitted, held_out = split(labels, recipe)
    say(f"Training {recipe.model} on {len(fitted):,} images, {len(held_out):,} held out for validation.")
    with watch.of("train"), progress(recipe.epochs) as epochs:
        trained = train.fit(
            recipe,
            images[fitted],
            labels[fitted],
            (images[held_out], labels[held_out]) if len(held_out) else None,
            epochs.on_batch,
            epochs.on_epoch,
        )
    with watch.of("predict"):
        test_log_p = log_probabilities(trained.model, to_images(test_table.pixels, side, recipe.fit))
    log_p = log_probabilities(trained.model, images)
    if not (np.isfinite(test_log_p).all() and np.isfinite(log_p).all()):
        raise RunError("The network predicts values that are no numbers; nothing was written. Try another seed.")
    rows = {"train": fitted, "validation": held_out}
    fits = {part: fitness(log_p[own], labels[own]) for part, own in rows.items() if len(own)}
    return Outcome(trained.model, trained.history, held_out, log_p[held_out], test_log_p, fits)


def split(labels: np.ndarray, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on and the rows held out, stratified by label. Raises InputError on too few rows."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    if recipe.validation == 0:
        return rows, rows[:0]
    try:
        fitted, held_out = train_test_split(
            rows, test_size=recipe.validation, stratify=labels, random_state=recipe.seed
        )
    except ValueError as error:
        raise InputError(
            f"validation = {recipe.validation:g} of {len(rows)} rows cannot be held out: {error}"
        ) from error
    return fitted, held_out


def write_run(folder: Path, recipe: Recipe, outcome: Outcome, train_table: Any, labels: np.ndarray) -> Path:
    """Write all that belongs to a run, the submission first, and return the submission's path."""
    data = submission.render(labels)
    file = folder / "submission.csv"
    write_atomically(file, data)
    write_atomically(folder.parent / "submission.csv", data)
    runs.write_json(folder / "recipe.json", asdict(recipe))
    runs.write_history(folder / "history.csv", outcome.history)
    runs.write_arrays(folder / "weights.npz", {w.path: np.asarray(w) for w in outcome.model.weights})
    runs.write_arrays(
        folder / "probabilities.npz",
        {
            "validation_rows": outcome.validation_rows,
            "validation": np.exp(outcome.validation_log_p),
            "test": np.exp(outcome.test_log_p),
        },
    )
    write_pictures(folder, outcome, train_table)
    return file


def write_pictures(folder: Path, outcome: Outcome, train_table: Any) -> None:
    from . import pictures

    images = to_images(train_table.pixels[outcome.validation_rows], side=28)
    labels = train_table.labels[outcome.validation_rows]
    few = np.arange(min(1000, len(train_table.labels)))
    write_atomically(
        folder / "sample-digits.png",
        pictures.sample_digits(to_images(train_table.pixels[few], side=28), train_table.labels[few]),
    )
    write_atomically(folder / "learning-curves.png", pictures.learning_curves(outcome.history))
    if len(labels):
        predicted = outcome.validation_log_p.argmax(axis=1)
        write_atomically(folder / "confusion-matrix.png", pictures.confusion_matrix(score(predicted, labels).confusion))
        write_atomically(
            folder / "challenging-digits.png",
            pictures.challenging_digits(images, labels, np.exp(outcome.validation_log_p)),
        )


def score_test(labels: np.ndarray, log_p: np.ndarray, answers: np.ndarray) -> dict[str, Any]:
    """The test line of the result: what `digits score` says of the file, and the log-loss."""
    from .predict import fitness

    scored = score(labels.astype(np.uint8), answers)
    return {**asdict(fitness(log_p, answers)), "correct": scored.correct, "interval": list(scored.interval)}


def submit(file: Path, data: Path | None = None, message: str = "", again: bool = False) -> dict[str, Any]:
    """Send a submission file made earlier: as many rows as the test.csv found are expected of it."""
    source = find_data(data)
    check_can_submit(source)
    return send(file, message, len(tables.read_test(source.test, CACHE).pixels), again)


def send(file: Path, message: str, n_rows: int, again: bool = False) -> dict[str, Any]:
    """Pass `file` through the gate, send it once, wait for its score, and keep the answer in its run's record."""
    data = read_bytes(file)
    submission.check_upload(data, str(file), n_rows)
    folder = runs.find_run(sha256(data).hexdigest())
    upload = competition.submit(file, message, folder.name if folder else file.stem, say, again)
    if upload.already_sent:
        say(f"Kaggle has this file already, as entry {upload.ref}; not sent again (--again would).")
    _record_upload(folder, upload)
    upload = competition.wait_for_score(upload, say)
    kaggle = _record_upload(folder, upload)
    shown = "not scored yet" if upload.public_score is None else f"public score {upload.public_score:.5f}"
    say(f"Kaggle entry {upload.ref}: {shown}.", style="bold")
    return kaggle


def show_input(found: Inspection) -> None:
    """The short report on the input that stands before every training."""
    low, high = found.value_range
    say(f"train.csv: {found.n_train:,} images, mean ink {found.mean_ink_train:.1f} of {high}")
    say(f"test.csv:  {found.n_test:,} images, mean ink {found.mean_ink_test:.1f}; pixels from {low} to {high}")
    show_table(["digit", *map(str, range(10))], [["images", *(f"{count:,}" for count in found.images_per_digit)]])
    for warning in found.warnings:
        say(f"Warning: {warning}.", style="yellow")


def show_result(result: dict[str, Any]) -> None:
    parts = {"train": "train", "validation": "validation", "score": "test (answers)"}
    rows = [
        [name, f"{fit['n']:,}", f"{fit['loss']:.4f}", f"{fit['accuracy']:.4f}", f"{fit['error']:.2%}"]
        for key, name in parts.items()
        if (fit := result.get(key))
    ]
    show_table(["", "images", "loss", "accuracy", "error"], rows)
    seconds = result["seconds"]
    say(f"Wrote {result['submission']}; records and pictures lie beside it.")
    say(
        f"Read {seconds['read']:.1f} s, trained {seconds['train']:.1f} s, {seconds['total']:.1f} s in all.", style="dim"
    )


def _record_upload(folder: Path | None, upload: competition.Upload) -> dict[str, Any]:
    kaggle = {"ref": upload.ref, "status": upload.status, "public_score": upload.public_score}
    if folder is not None:
        runs.write_result(folder, {**runs.read_result(folder), "kaggle": kaggle})
    return kaggle


class _Stopwatch:
    """Seconds by part, and in all since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.parts: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.parts[part] = self.parts.get(part, 0) + time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        parts = {**self.parts, "total": time.perf_counter() - self.start}
        return {part: round(value, 3) for part, value in parts.items()}
