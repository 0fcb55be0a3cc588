"""NaN and infinity in weights, loss, data and probabilities are not saved, averaged or uploaded."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer import blending
from digit_recognizer.data import submission
from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import DivergedError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import checkpoints, cross_validation, network
from digit_recognizer.training import fit as train
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import Checkpoint, FitHooks
from digit_recognizer.utils.arrays import write_arrays
from finished_runs import make_finished_run, write_data

from .processes import refusal

PROMISE = "NaN and infinity are never saved, averaged or uploaded"
CASES = "values in weights, loss, data and probabilities"
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
        assert kept, f"{path} has NaN or infinity"


def _images() -> np.ndarray:
    return np.random.default_rng(0).random((len(LABELS), 32, 32, 1), dtype=np.float32)


def _keep(checkpoint: Checkpoint) -> None:
    checkpoints.save_checkpoint(Path(), "me", checkpoint)


KEEP = FitHooks(on_checkpoint=_keep)


def _weights(random: Random, value: float) -> None:
    """In a checkpoint: the last finite checkpoint stays."""
    kept: list[Checkpoint] = []
    fit(replace(RECIPE, epochs=1), _images(), LABELS, hooks=FitHooks(on_checkpoint=kept.append))
    _keep(kept[0])
    floats = [place for place, one in enumerate(kept[0].variables) if one.dtype.kind == "f" and one.size > 9]
    wrong = [one.copy() for one in kept[0].variables]
    wrong[random.choice(floats)].flat[random.randrange(9)] = value
    message = refusal(
        lambda: fit(RECIPE, _images(), LABELS, checkpoint=replace(kept[0], variables=tuple(wrong)), hooks=KEEP)
    )
    assert "diverged" in message, message
    assert checkpoints.load_latest_checkpoint(Path(), "me").history == kept[0].history


def _loss(random: Random, value: float) -> None:
    """In the loss, from the first step."""
    original = train.loss_of
    train.loss_of = lambda *of: lambda labels, logits: original(*of)(labels, logits) + value
    try:
        message = refusal(lambda: fit(RECIPE, _images(), LABELS, hooks=KEEP))
    finally:
        train.loss_of = original
    assert "diverged in epoch 1" in message, message


def _data(random: Random, value: float) -> None:
    """In the images, which are read from bytes and cannot have it."""
    images = _images()
    images.flat[random.randrange(images.size)] = value
    with suppress(DivergedError):  # the pixel may have no effect
        fit(replace(RECIPE, epochs=1), images, LABELS, hooks=KEEP)


def _probabilities(random: Random, value: float) -> None:
    """In the predictions of a network for its training, held-out or test rows."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 784), dtype=np.uint8)
    tables = LabelledTable(pixels[:100], "train", LABELS), Table(pixels[100:], "test")
    [spec] = cross_validation.plan_networks(replace(RECIPE, epochs=1, validation=0.2), LABELS)
    original, calls = network.log_probabilities, []

    def with_value(*arguments):
        log_p = np.array(original(*arguments))
        calls.append(len(log_p))
        if len(calls) == 1 + random.randrange(3) or len(calls) == 3:
            log_p.flat[random.randrange(log_p.size)] = value
        return log_p

    network.log_probabilities = with_value
    try:
        message = refusal(lambda: network.train_network(spec, *tables))
    finally:
        network.log_probabilities = original
    assert "NaN or infinity" in message, message


def _a_foreign_run(random: Random, value: float) -> None:
    """In the probabilities of a finished run: not written, and not blended."""
    workspace = Workspace()
    answers = write_data(workspace)
    names = [make_finished_run(workspace, name, answers, 3, seed) for seed, name in enumerate(("good", "foreign"))]
    folder = workspace.submissions / names[1]
    found = run_dir.read_predictions(folder)
    rows, log_p, test_log_p = found.rows, found.log_p, found.test_log_p
    (log_p if random.random() < 0.5 else test_log_p).flat[random.randrange(1000)] = value
    arrays = {"held_out_rows": rows, "held_out_log_p": log_p, "test_log_p": test_log_p}
    assert "NaN or infinity" in refusal(lambda: write_arrays(folder / "probabilities.npz", arrays))
    np.savez(folder / "probabilities.npz", **arrays)
    assert "NaN or infinity" in refusal(lambda: blending.blend_runs(names, workspace, "equal"))
    (folder / "probabilities.npz").unlink()
    with workspace.open_ledger() as ledger:
        assert len([run for run in ledger.runs() if run.status == "done"]) == 2
    published = workspace.newest_submission.read_bytes()
    submission.check_upload(published, "submission.csv", len(answers))


KINDS = [_weights, _loss, _data, _probabilities, _a_foreign_run]
