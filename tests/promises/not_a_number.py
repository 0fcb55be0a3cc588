"""NaN and infinity put into weights, loss, data and probabilities: nothing of it is kept, averaged or sent."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer import blending
from digit_recognizer.data import submission
from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import DivergedError
from digit_recognizer.recipes.recipe import RECIPES, change
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.training import checkpoints, cross_validation, network
from digit_recognizer.training import fit as train
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import Checkpoint
from finished_runs import finish_run, write_data

from .actors import refusal

PROMISE = "what is no number reaches nothing"
CASES = "values put into weights, loss, data and probabilities"
GOAL = 50

RECIPE = change(RECIPES["quick"], {"epochs": 3, "batch_size": 32, "shift": 0})
LABELS = np.repeat(np.arange(10, dtype=np.uint8), 10)


def trial(number: int) -> None:
    random = Random(number)
    value = random.choice((np.nan, np.inf, -np.inf))
    KINDS[number % len(KINDS)](random, value)
    for path in Path().rglob("*.npz"):
        with np.load(path) as arrays:
            kept = all(np.isfinite(arrays[key]).all() for key in arrays if arrays[key].dtype.kind == "f")
        assert kept, f"{path} holds what is no number"


def _images() -> np.ndarray:
    return np.random.default_rng(0).random((len(LABELS), 32, 32, 1), dtype=np.float32)


def _keep(checkpoint: Checkpoint) -> None:
    checkpoints.save_checkpoint(Path(), "me", checkpoint)


def _weights(random: Random, value: float) -> None:
    """In a checkpoint, as if a step had gone wrong: the epoch before it stays the last."""
    kept: list[Checkpoint] = []
    fit(replace(RECIPE, epochs=1), _images(), LABELS, keep=kept.append)
    _keep(kept[0])
    floats = [place for place, one in enumerate(kept[0].variables) if one.dtype.kind == "f" and one.size > 9]
    wrong = [one.copy() for one in kept[0].variables]
    wrong[random.choice(floats)].flat[random.randrange(9)] = value
    message = refusal(
        lambda: fit(RECIPE, _images(), LABELS, begun=replace(kept[0], variables=tuple(wrong)), keep=_keep)
    )
    assert "diverged" in message, message
    assert checkpoints.load_latest_checkpoint(Path(), "me").history == kept[0].history


def _loss(random: Random, value: float) -> None:
    """In the loss, from the first step on."""
    honest = train._smoothed_loss
    train._smoothed_loss = lambda smoothing: lambda labels, logits: honest(smoothing)(labels, logits) + value
    try:
        message = refusal(lambda: fit(RECIPE, _images(), LABELS, keep=_keep))
    finally:
        train._smoothed_loss = honest
    assert "diverged in epoch 1" in message, message


def _data(random: Random, value: float) -> None:
    """In the images themselves, which come from bytes and cannot hold it."""
    images = _images()
    images.flat[random.randrange(images.size)] = value
    with suppress(DivergedError):  # it may be rounded away with the pixel that it stands in
        fit(replace(RECIPE, epochs=1), images, LABELS, keep=_keep)


def _probabilities(random: Random, value: float) -> None:
    """In what a network says of the rows it is judged by, or of test.csv."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 784), dtype=np.uint8)
    tables = LabelledTable(pixels[:100], "train", LABELS), Table(pixels[100:], "test")
    [member] = cross_validation.plan_networks(replace(RECIPE, epochs=1, validation=0.2), LABELS)
    honest, calls = network.log_probabilities, []

    def dishonest(*arguments):
        log_p = np.array(honest(*arguments))
        calls.append(len(log_p))
        if len(calls) == 1 + random.randrange(3) or len(calls) == 3:
            log_p.flat[random.randrange(log_p.size)] = value
        return log_p

    network.log_probabilities = dishonest
    try:
        message = refusal(lambda: network.train_network(member, *tables))
    finally:
        network.log_probabilities = honest
    assert "no numbers" in message, message


def _a_foreign_run(random: Random, value: float) -> None:
    """In the probabilities of a finished run, which somebody else wrote: neither shown, nor compared, nor blended."""
    answers = write_data()
    names = [finish_run(name, answers, 3, seed) for seed, name in enumerate(("good", "foreign"))]
    folder = Path("submissions", names[1])
    rows, log_p, test_log_p = run_dir.read_probabilities(folder)
    (log_p if random.random() < 0.5 else test_log_p).flat[random.randrange(1000)] = value
    arrays = {"held_out_rows": rows, "held_out_log_p": log_p, "test_log_p": test_log_p}
    assert "no numbers" in refusal(lambda: run_dir.write_arrays(folder / "probabilities.npz", arrays))
    np.savez(folder / "probabilities.npz", **arrays)
    assert "no numbers" in refusal(lambda: blending.blend(tuple(names), "equal", "blend", None))
    (folder / "probabilities.npz").unlink()
    with run_session.ledger() as book:
        assert len([run for run in book.runs() if run["status"] == "done"]) == 2
    published = Path("submissions/submission.csv").read_bytes()
    submission.check_upload(published, "submission.csv", len(answers))


KINDS = [_weights, _loss, _data, _probabilities, _a_foreign_run]
