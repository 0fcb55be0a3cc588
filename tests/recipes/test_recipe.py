"""Recipes: choosing and changing them."""

import dataclasses

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes import recipe as recipes
from digit_recognizer.recipes.recipe import RECIPES, change, choose, with_named_members
from digit_recognizer.recipes.toml import parse_settings


def test_every_model_has_its_plain_recipe():
    assert {recipe.model for name, recipe in RECIPES.items() if name.startswith("plain-")} == set(MODELS)


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["lenet5"].epochs = 3


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
def test_recipe_and_model_options_choose(recipe, model, expected):
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


def test_settings_are_converted_to_their_fields_types():
    changed = change(
        RECIPES["lenet5"],
        parse_settings(("epochs=3", "learning_rate=2e-3", "batch_norm=false", "fit = resize", "validation=0")),
    )
    assert (changed.epochs, changed.learning_rate, changed.batch_norm, changed.fit) == (3, 2e-3, False, "resize")
    assert changed.validation == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", "Did you mean epochs"),
        ("epochs=three", "whole number"),
        ("epochs=2.5", "whole number"),
        ("epochs=0", "from 1"),
        ("validation=1.5", "from 0 to 0.9"),
        ("learning_rate=nan", "from 1e-09"),
        ("batch_norm=maybe", "true or false"),
        ("fit=pat", "Did you mean pad"),
        ("schedule=cosine", "constant, triangle"),
        ("seed=-1", "from 0"),
        ("seed=4294967295 seeds=2", "seed . seeds"),
        ("epochs", "key=value"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(setting, message):
    with pytest.raises(InputError, match=message):
        change(RECIPES["lenet5"], parse_settings(tuple(setting.split())))


@pytest.mark.parametrize(
    ("name", "setting"),
    [("plain-lenet5-1998", "label_smoothing=0.1"), ("plain-lenet5", "warm_up=0.1"), ("lenet5", "schedule=constant")],
)
def test_a_setting_that_would_do_nothing_is_refused(name, setting):
    with pytest.raises(InputError, match="set it to 0"):
        change(RECIPES[name], parse_settings((setting,)))


def test_resizing_is_refused_for_28x28_models():
    with pytest.raises(InputError, match="32x32"):
        change(RECIPES["plain-lenet-28"], {"fit": "resize"})


def test_a_recipe_without_members_is_its_only_network():
    assert recipes.network_recipes(RECIPES["lenet5"]) == (RECIPES["lenet5"],)


def test_several_networks_keep_their_models():
    with pytest.raises(InputError, match="several networks"):
        recipes.choose("committee", "wide-cnn")


def test_a_setting_holds_for_all_members():
    committee = change(RECIPES["lenet5"], with_named_members({"members": ["lenet5", "plain-deep-cnn"]}))
    assert {own.epochs for own in recipes.network_recipes(committee)} == {RECIPES["lenet5"].epochs, 10}
    assert {own.epochs for own in recipes.network_recipes(change(committee, {"epochs": 2}))} == {2}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"seed": 3}], "member 1: seed holds for the whole run"),
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


def test_one_fold_is_none():
    with pytest.raises(InputError, match="at least 2"):
        change(RECIPES["lenet5"], {"folds": 1})


def test_what_is_set_beside_members_named_after_recipes_holds_for_them():
    committee = change(RECIPES["lenet5"], with_named_members({"members": ["lenet5", "plain-deep-cnn"], "epochs": 3}))
    assert [own.epochs for own in recipes.network_recipes(committee)] == [3, 3]
    assert change(committee, {"members": []}).members == ()
    told = change(RECIPES["lenet5"], with_named_members({"members": ["plain-deep-cnn", {"epochs": 7}], "epochs": 3}))
    assert [own.epochs for own in recipes.network_recipes(told)] == [3, 7]


def test_batch_normalisation_without_a_relu_is_refused():
    with pytest.raises(InputError, match="of which lenet5-1998 has none"):
        choose("lenet5", "lenet5-1998")
