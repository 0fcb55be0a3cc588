"""Recipes: their fields, and changing them."""

import dataclasses
import re
from dataclasses import fields

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import Recipe, change, network_recipes
from digit_recognizer.recipes.toml import parse_settings


def test_a_recipe_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["lenet5"].epochs = 3


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
        ("seed=4294967295", "from 0"),
        ("epochs", "KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(setting, message):
    with pytest.raises(InputError, match=message):
        change(RECIPES["lenet5"], parse_settings(tuple(setting.split())))


@pytest.mark.parametrize(
    ("name", "setting"),
    [("plain-lenet5-1998", "label_smoothing=0.1"), ("plain-lenet5", "warm_up=0.1"), ("lenet5", "schedule=constant")],
)
def test_a_setting_without_effect_is_refused(name, setting):
    with pytest.raises(InputError, match="set it to 0"):
        change(RECIPES[name], parse_settings((setting,)))


def test_resizing_is_refused_for_28x28_models():
    with pytest.raises(InputError, match="32x32"):
        change(RECIPES["plain-lenet-28"], {"fit": "resize"})


def test_a_recipe_without_members_is_its_only_network():
    assert network_recipes(RECIPES["lenet5"]) == (RECIPES["lenet5"],)


def test_a_single_fold_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        change(RECIPES["lenet5"], {"folds": 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 2.5}, "epochs must be a whole number; received 2.5"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"batch_norm": "no"}, "batch_norm must be true or false"),
        ({"epochs": "many"}, "epochs must be a whole number"),
        ({"members": ("lenet5",)}, "members must be"),
    ],
)
def test_a_recipe_checks_the_types_of_its_fields(settings, message):
    with pytest.raises(InputError, match=message):
        Recipe("lenet5", **settings)


def test_every_field_is_documented():
    documented = re.findall("^ +([a-z_]+): ", Recipe.__doc__, re.MULTILINE)
    assert sorted(documented) == sorted(field.name for field in fields(Recipe))
