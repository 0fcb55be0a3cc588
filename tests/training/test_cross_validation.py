"""The networks of a run: rows, names and averaged predictions."""

from dataclasses import replace

import numpy as np
import pytest

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Metrics
from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.recipes.catalog import RECIPES, with_named_members
from digit_recognizer.recipes.recipe import Recipe, change
from digit_recognizer.training import cross_validation
from digit_recognizer.training.network import train_network

LABELS = np.repeat(np.arange(10, dtype=np.uint8), 20)
RECIPE = change(RECIPES["lenet5"], {"epochs": 1, "batch_size": 32})


@pytest.fixture(scope="module")
def tables():
    pixels = np.random.default_rng(0).integers(0, 256, (230, 784), dtype=np.uint8)
    return LabelledTable(pixels[:200], "train", LABELS), Table(pixels[200:], "test")


def test_the_holdout_is_stratified_and_disjoint_from_the_training_rows():
    [network] = cross_validation.plan_networks(replace(RECIPE, validation=0.2), LABELS)
    assert np.bincount(LABELS[network.held_out]).tolist() == [4] * 10
    assert sorted([*network.train_rows, *network.held_out]) == list(range(200))


def test_each_row_is_held_out_in_one_stratified_fold_and_trained_on_in_the_others():
    networks = cross_validation.plan_networks(replace(RECIPE, folds=4), LABELS)
    assert [network.fold for network in networks] == [1, 2, 3, 4]
    for network in networks:
        assert np.bincount(LABELS[network.held_out]).tolist() == [5] * 10
        assert sorted([*network.train_rows, *network.held_out]) == list(range(200))
    assert sorted(np.concatenate([network.held_out for network in networks])) == list(range(200))


@pytest.mark.parametrize("recipe", [replace(RECIPE, validation=0), replace(RECIPE, full=True)])
def test_a_network_may_train_on_all_rows(recipe):
    [network] = cross_validation.plan_networks(recipe, LABELS)
    assert len(network.train_rows) == 200
    assert len(network.held_out) == 0
    assert network.predicts_test


def test_with_full_one_network_trained_on_all_rows_predicts_the_test_set():
    *folds, last = cross_validation.plan_networks(replace(RECIPE, folds=2, full=True), LABELS)
    assert [network.predicts_test for network in folds] == [False, False]
    assert (last.name, last.predicts_test, len(last.train_rows)) == ("lenet5-seed0-all", True, 200)


def test_seeds_and_members_share_the_splits_and_have_unique_names():
    recipe = change(
        RECIPE, with_named_members({"members": ["lenet5", "plain-lenet-28"], "seeds": 2, "seed": 7, "folds": 2})
    )
    networks = cross_validation.plan_networks(recipe, LABELS)
    assert len({network.name for network in networks}) == len(networks) == 8
    assert networks[0].name == "1-lenet5-seed7-fold1"
    assert networks[-1].name == "2-lenet-28-seed8-fold2"
    assert {network.recipe.seed for network in networks} == {7, 8}
    for network in networks:
        np.testing.assert_array_equal(network.held_out, networks[network.fold - 1].held_out)


def test_more_folds_than_rows_of_a_digit_are_refused():
    with pytest.raises(InputError, match="21 folds need as many rows of each digit; one has 20"):
        cross_validation.plan_networks(replace(RECIPE, folds=21), LABELS)


def test_a_validation_part_too_small_for_every_digit_is_refused():
    with pytest.raises(InputError, match=r"validation 0\.01: .* Choose another fraction"):
        cross_validation.plan_networks(replace(RECIPE, validation=0.01), LABELS)


def test_a_network_does_not_depend_on_the_networks_trained_before_it(tables, tiny_lenet5):
    networks = cross_validation.plan_networks(replace(RECIPE, folds=2, dropout=0.2), LABELS)
    _, after_another = [train_network(network, *tables) for network in networks]
    alone = train_network(networks[1], *tables)
    np.testing.assert_array_equal(alone.test_log_p, after_another.test_log_p)
    assert alone.history == after_another.history


def random_result(network, seed):
    """Returns a result with random predictions."""
    log_p = average_log_p([np.random.default_rng(seed).normal(size=(230, 10))])
    train = Metrics(len(network.train_rows), 0.5 + seed / 100, 1.0)
    weights = {"c1/kernel": np.zeros((5, 5, 1, 6))}
    return cross_validation.NetworkResult(
        weights, (), log_p[network.held_out], log_p[200:], train, None, {"train": 2.0, "predict": 0.5}
    )


def test_held_out_rows_are_averaged_over_the_networks_not_trained_on_them():
    networks = cross_validation.plan_networks(replace(RECIPE, folds=2, seeds=2), LABELS)
    results = [random_result(network, seed) for seed, network in enumerate(networks)]
    combined = cross_validation.combine(networks, results)
    assert combined.rows.tolist() == list(range(200))
    row = networks[0].held_out[0]
    own = [
        result.held_out_log_p[list(network.held_out).index(row)]
        for network, result in zip(networks, results, strict=True)
        if row in network.held_out
    ]
    assert len(own) == 2
    np.testing.assert_allclose(combined.log_p[row], average_log_p([log_p[np.newaxis] for log_p in own])[0], rtol=1e-4)
    np.testing.assert_allclose(combined.test_log_p, average_log_p([own.test_log_p for own in results]), rtol=1e-4)
    assert (combined.n_weights, combined.n_networks) == (4 * 150, 4)
    assert combined.train.accuracy == pytest.approx(0.515)
    assert combined.seconds == {"train": 8.0, "predict": 2.0}


def test_with_full_only_networks_trained_on_all_rows_predict_the_test_set():
    networks = cross_validation.plan_networks(replace(RECIPE, folds=2, full=True), LABELS)
    results = [random_result(network, seed) for seed, network in enumerate(networks)]
    combined = cross_validation.combine(networks, results)
    np.testing.assert_allclose(combined.test_log_p, results[-1].test_log_p, rtol=1e-5)
    assert len(combined.rows) == 200
    assert combined.n_networks == 1


def test_without_held_out_rows_there_are_no_held_out_predictions(tables, tiny_lenet5):
    networks = cross_validation.plan_networks(replace(RECIPE, full=True), LABELS)
    combined = cross_validation.combine(networks, [train_network(networks[0], *tables)])
    assert combined.log_p.shape == (0, 10)
    assert combined.test_log_p.shape == (30, 10)


def test_a_recipe_without_members_is_the_recipe_of_its_network():
    assert cross_validation.plan_networks(Recipe("lenet-28", validation=0), LABELS)[0].recipe == Recipe(
        "lenet-28", validation=0
    )
