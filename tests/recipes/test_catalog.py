"""The catalog of recipes: choosing one, and committees of named recipes."""

import dataclasses

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import RECIPES, choose, with_named_members
from digit_recognizer.recipes.recipe import change, network_recipes


def test_every_model_has_its_plain_recipe():
    assert {recipe.model for name, recipe in RECIPES.items() if name.startswith("plain-")} == set(MODELS)


@pytest.mark.parametrize(
    ("recipe", "model", "expected"),
    [
        (None, None, "lenet5"),
        (None, "lenet5", "lenet5"),
        (None, "deep-cnn", "plain-deep-cnn"),
        ("plain", None, "plain-lenet5"),
        ("plain", "wide-cnn", "plain-wide-cnn"),
        ("plain-lenet-28", None, "plain-lenet-28"),
    ],
)
def test_a_recipe_is_chosen_by_its_name_or_a_model(recipe, model, expected):
    assert choose(recipe, model) == (expected, RECIPES[expected])


def test_recipe_with_a_model_trains_that_model_by_that_recipe():
    name, recipe = choose("lenet5", "wide-cnn")
    assert name == "lenet5"
    assert recipe == dataclasses.replace(RECIPES["lenet5"], model="wide-cnn")


@pytest.mark.parametrize(
    ("recipe", "model", "hint"),
    [
        ("lenet", None, "Did you mean lenet5"),
        (None, "deepcnn", "Did you mean deep-cnn"),
        ("qqq", None, "digits recipes"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(recipe, model, hint):
    with pytest.raises(InputError, match=hint):
        choose(recipe, model)


def test_the_model_of_a_committee_cannot_be_chosen():
    with pytest.raises(InputError, match="several networks"):
        choose("committee", "wide-cnn")


def test_a_changed_setting_applies_to_all_members():
    committee = change(RECIPES["lenet5"], with_named_members({"members": ["lenet5", "plain-deep-cnn"]}))
    assert {own.epochs for own in network_recipes(committee)} == {RECIPES["lenet5"].epochs, 10}
    assert {own.epochs for own in network_recipes(change(committee, {"epochs": 2}))} == {2}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"seed": 3}], "member 1: seed is a setting of the whole run"),
        ([{}, {"epochs": 0}], "member 2: epochs must be from 1"),
        ([{"epoch": 3}], "Did you mean epochs"),
        (["lenet"], "no recipe 'lenet'"),
        (["lenet5", "committee"], "committee has several networks itself"),
        ("lenet5", "must be a list"),
        ([3], "must be a list"),
    ],
)
def test_wrong_members_are_refused(members, message):
    with pytest.raises(InputError, match=message):
        change(RECIPES["lenet5"], with_named_members({"members": members}))


def test_settings_of_a_committee_apply_to_members_named_after_recipes():
    committee = change(RECIPES["lenet5"], with_named_members({"members": ["lenet5", "plain-deep-cnn"], "epochs": 3}))
    assert [own.epochs for own in network_recipes(committee)] == [3, 3]
    assert change(committee, {"members": []}).members == ()
    given = change(RECIPES["lenet5"], with_named_members({"members": ["plain-deep-cnn", {"epochs": 7}], "epochs": 3}))
    assert [own.epochs for own in network_recipes(given)] == [3, 7]


def test_batch_normalisation_without_a_relu_is_refused():
    with pytest.raises(InputError, match="not for lenet5-1998"):
        choose("lenet5", "lenet5-1998")
