"""The networks of a run: their rows, their names, what they say together."""

from dataclasses import replace

import numpy as np
import pytest

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.prediction import Metrics, average_log_p
from digit_recognizer.recipes.recipe import RECIPES, Recipe, change, with_named_members
from digit_recognizer.training import cross_validation
from digit_recognizer.training.network import train_network

LABELS = np.repeat(np.arange(10, dtype=np.uint8), 20)
RECIPE = change(RECIPES["lenet5"], {"epochs": 1, "batch_size": 32})


@pytest.fixture(scope="module")
def tables():
    pixels = np.random.default_rng(0).integers(0, 256, (230, 784), dtype=np.uint8)
    return LabelledTable(pixels[:200], "train", LABELS), Table(pixels[200:], "test")


def test_holdout_is_stratified_and_no_row_is_both():
    [member] = cross_validation.plan_networks(replace(RECIPE, validation=0.2), LABELS)
    assert np.bincount(LABELS[member.held_out]).tolist() == [4] * 10
    assert sorted([*member.train_rows, *member.held_out]) == list(range(200))


def test_each_row_is_held_out_in_one_stratified_fold_and_fitted_in_the_others():
    members = cross_validation.plan_networks(replace(RECIPE, folds=4), LABELS)
    assert [member.fold for member in members] == [1, 2, 3, 4]
    for member in members:
        assert np.bincount(LABELS[member.held_out]).tolist() == [5] * 10
        assert sorted([*member.train_rows, *member.held_out]) == list(range(200))
    assert sorted(np.concatenate([member.held_out for member in members])) == list(range(200))


@pytest.mark.parametrize("recipe", [replace(RECIPE, validation=0), replace(RECIPE, full=True)])
def test_a_network_may_train_on_all_rows(recipe):
    [member] = cross_validation.plan_networks(recipe, LABELS)
    assert len(member.train_rows) == 200
    assert len(member.held_out) == 0
    assert member.predicts_test


def test_full_folds_are_for_the_estimate_and_one_network_on_all_rows_labels_the_test_set():
    *folds, last = cross_validation.plan_networks(replace(RECIPE, folds=2, full=True), LABELS)
    assert [member.predicts_test for member in folds] == [False, False]
    assert (last.name, last.predicts_test, len(last.train_rows)) == ("lenet5-seed0-all", True, 200)


def test_seeds_and_unlike_members_share_the_splits_under_names_of_their_own():
    recipe = change(
        RECIPE, with_named_members({"members": ["lenet5", "plain-lenet-28"], "seeds": 2, "seed": 7, "folds": 2})
    )
    members = cross_validation.plan_networks(recipe, LABELS)
    assert len({member.name for member in members}) == len(members) == 8
    assert members[0].name == "1-lenet5-seed7-fold1"
    assert members[-1].name == "2-lenet-28-seed8-fold2"
    assert {member.recipe.seed for member in members} == {7, 8}
    for member in members:
        np.testing.assert_array_equal(member.held_out, members[member.fold - 1].held_out)


def test_more_folds_than_rows_of_a_digit_are_refused():
    with pytest.raises(InputError, match="21 folds need as many rows of each digit; one has 20"):
        cross_validation.plan_networks(replace(RECIPE, folds=21), LABELS)


def test_a_part_too_small_for_every_digit_is_refused():
    with pytest.raises(InputError, match="does not hold each digit"):
        cross_validation.plan_networks(replace(RECIPE, validation=0.01), LABELS)


def test_a_network_is_the_same_whatever_was_trained_before_it(tables, tiny_lenet5):
    members = cross_validation.plan_networks(replace(RECIPE, folds=2, dropout=0.2), LABELS)
    _, after_another = [train_network(member, *tables) for member in members]
    alone = train_network(members[1], *tables)
    np.testing.assert_array_equal(alone.test_log_p, after_another.test_log_p)
    assert alone.history == after_another.history


def outcome(member, seed):
    """What training might leave, without the training."""
    log_p = average_log_p([np.random.default_rng(seed).normal(size=(230, 10))])
    fit = Metrics(len(member.train_rows), 0.5 + seed / 100, 1.0, 0.5)
    weights = {"c1/kernel": np.zeros((5, 5, 1, 6))}
    return cross_validation.NetworkResult(
        weights, (), log_p[member.held_out], log_p[200:], {"train": fit}, {"train": 2.0, "predict": 0.5}
    )


def test_networks_are_averaged_in_log_probability_each_row_over_those_that_never_saw_it():
    members = cross_validation.plan_networks(replace(RECIPE, folds=2, seeds=2), LABELS)
    outcomes = [outcome(member, seed) for seed, member in enumerate(members)]
    together = cross_validation.combine(members, outcomes)
    assert together.rows.tolist() == list(range(200))
    row = members[0].held_out[0]
    own = [
        outcome.held_out_log_p[list(member.held_out).index(row)]
        for member, outcome in zip(members, outcomes, strict=True)
        if row in member.held_out
    ]
    assert len(own) == 2
    np.testing.assert_allclose(together.log_p[row], average_log_p([log_p[np.newaxis] for log_p in own])[0], rtol=1e-4)
    np.testing.assert_allclose(together.test_log_p, average_log_p([own.test_log_p for own in outcomes]), rtol=1e-4)
    assert (together.n_weights, together.n_networks) == (4 * 150, 4)
    assert together.train_fit.accuracy == pytest.approx(0.515)
    assert together.seconds == {"train": 8.0, "predict": 2.0}


def test_with_full_only_the_networks_trained_on_all_rows_label_the_test_set():
    members = cross_validation.plan_networks(replace(RECIPE, folds=2, full=True), LABELS)
    outcomes = [outcome(member, seed) for seed, member in enumerate(members)]
    together = cross_validation.combine(members, outcomes)
    np.testing.assert_allclose(together.test_log_p, outcomes[-1].test_log_p, rtol=1e-5)
    assert len(together.rows) == 200
    assert together.n_networks == 1


def test_without_held_out_rows_there_is_no_estimate(tables, tiny_lenet5):
    members = cross_validation.plan_networks(replace(RECIPE, full=True), LABELS)
    together = cross_validation.combine(members, [train_network(members[0], *tables)])
    assert together.log_p.shape == (0, 10)
    assert together.test_log_p.shape == (30, 10)


def test_a_recipe_is_what_its_single_member_would_be():
    assert cross_validation.plan_networks(Recipe("lenet-28", validation=0), LABELS)[0].recipe == Recipe(
        "lenet-28", validation=0
    )
