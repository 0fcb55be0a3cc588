"""Training on a few digits that are easy to distinguish."""

import dataclasses

import numpy as np
import pytest

from digit_recognizer.data.augmentation import Augmentation, draw_coefficients
from digit_recognizer.errors import RunError
from digit_recognizer.evaluation.metrics import evaluate
from digit_recognizer.evaluation.prediction import log_probabilities
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.training import fit as training
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import FitHooks

RNG = np.random.default_rng(0)


def bars(n):
    """Returns `n` images of each digit d, a bar two pixels wide at column 4 + 2 d with noise, and labels."""
    labels = np.repeat(np.arange(10), n)
    images = 0.2 * RNG.random((len(labels), 32, 32, 1), dtype=np.float32)
    for image, label in zip(images, labels, strict=True):
        image[6:26, 4 + 2 * label : 6 + 2 * label] += 0.8
    return images, labels


IMAGES, LABELS = bars(40)
QUICK = change(RECIPES["quick"], {"epochs": 3, "batch_size": 32, "shift": 0})


def weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def test_a_short_training_learns_and_returns_a_network_of_61706_weights():
    model, history = fit(dataclasses.replace(QUICK, epochs=6), IMAGES, LABELS, bars(5))
    assert model.count_params() == 61_706
    assert evaluate(log_probabilities(model, IMAGES), LABELS).accuracy > 0.95
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1].validation_accuracy > 0.9


def test_two_identical_trainings_agree_bit_for_bit_and_another_seed_does_not():
    noisy = {"shift": 1, "rotate": 10, "elastic": 0.5, "dropout": 0.3, "ema": 0.9, "clean": 1}
    recipe = change(QUICK, {"epochs": 2, **noisy})
    first = weights(fit(recipe, IMAGES, LABELS)[0])
    assert (first == weights(fit(recipe, IMAGES, LABELS)[0])).all()
    assert (first != weights(fit(dataclasses.replace(recipe, seed=1), IMAGES, LABELS)[0])).any()


def test_map_loss_trains_the_1998_network():
    recipe = change(RECIPES["plain-lenet5-1998"], {"epochs": 8, "batch_size": 16})
    _, history = fit(recipe, IMAGES, LABELS)
    assert history[-1].loss < history[0].loss
    assert history[-1].accuracy > 0.8


def test_statistics_of_batch_normalisation_do_not_depend_on_the_order_of_rows(monkeypatch):
    monkeypatch.setattr(training, "_N_STATISTICS", 96)  # images: the first 96 in the file's order are of three digits
    model, _ = fit(dataclasses.replace(QUICK, epochs=6), IMAGES, LABELS)
    assert (np.diff(LABELS.astype(int)) >= 0).all()
    assert evaluate(log_probabilities(model, IMAGES), LABELS).accuracy > 0.95


def test_without_held_out_rows_validation_is_none():
    _, [epoch] = fit(dataclasses.replace(QUICK, epochs=1), IMAGES, LABELS)
    assert epoch.validation_loss is None
    assert epoch.validation_accuracy is None


def test_a_diverging_training_stops_and_suggests_a_learning_rate():
    wild = change(QUICK, {"learning_rate": 10, "weight_decay": 1, "schedule": "constant", "warm_up": 0})
    with pytest.raises(RunError, match=r"diverged in epoch \d.*learning_rate"):
        fit(dataclasses.replace(wild, epochs=20), IMAGES, LABELS)


def test_hooks_are_called_for_every_epoch_and_for_its_last_batch():
    steps, epochs = [], []
    hooks = FitHooks(on_batch=lambda step, n: steps.append((step, n)), on_epoch=epochs.append)
    fit(QUICK, IMAGES, LABELS, hooks=hooks)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert steps.count((13, 13)) == 3  # 400 images in batches of at most 32: of 30, and 10 images are left over


def test_weights_are_averaged_over_all_steps_and_replaced_only_at_the_end(monkeypatch):
    recipe = change(QUICK, {"batch_norm": False, "batch_size": 400, "epochs": 4})
    after_each_step = []

    def log_probabilities(model, images):
        after_each_step.append(np.concatenate([np.ravel(weight) for weight in model.get_weights()]))
        return np.zeros((len(images), 10), np.float32)

    monkeypatch.setattr(training, "log_probabilities", log_probabilities)
    averaged = weights(fit(dataclasses.replace(recipe, ema=0.5), IMAGES, LABELS, (IMAGES, LABELS))[0])
    without = weights(fit(recipe, IMAGES, LABELS, (IMAGES, LABELS))[0])
    np.testing.assert_array_equal(after_each_step[:4], after_each_step[4:])
    np.testing.assert_array_equal(without, after_each_step[3])
    first, second, third, fourth = after_each_step[:4]
    expected = (first + second + 2 * third + 4 * fourth) / 8
    np.testing.assert_allclose(averaged, expected, atol=1e-6)


def test_the_last_epochs_have_no_augmentation(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        training,
        "draw_coefficients",
        lambda augmentation, *rest: drawn.append(augmentation) or draw_coefficients(augmentation, *rest),
    )
    fit(change(QUICK, {"epochs": 3, "rotate": 9, "shift": 1, "clean": 2}), IMAGES, LABELS)
    assert drawn == [Augmentation(rotate=9, shift=1), Augmentation(), Augmentation()]
