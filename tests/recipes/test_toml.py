"""Recipes as text: written ones are read back the same, and errors name what is wrong."""

import dataclasses
import json

import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import RECIPES, with_named_members
from digit_recognizer.recipes.recipe import Recipe, change, from_record, network_recipes
from digit_recognizer.recipes.toml import describe, differences, load, to_toml


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_printed_as_toml_is_read_back_the_same(name, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(RECIPES[name]))
    assert load(file) == ("mine", RECIPES[name])


def test_a_recipe_file_may_name_its_base(tmp_path):
    file = tmp_path / "longer.toml"
    file.write_text('base = "plain-wide-cnn"\nepochs = 20\n')
    assert load(file) == ("longer", dataclasses.replace(RECIPES["plain-wide-cnn"], epochs=20))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs 3", "not TOML in UTF-8"),
        ("epoch = 3", "mine.toml: .*Did you mean epochs"),
        ('base = "nothing"', "no recipe 'nothing'"),
        ("epochs = true", "whole number"),
        ("model = 3", "no model '3'"),
        ("fit = 3", "must be text"),
        ("epochs = [1]", "whole number"),
        ("dropout = {a = 1}", "a number"),
        ("epochs = 2020-01-01", "whole number"),
        ("dropout = nan", "from 0"),
        ("learning_rate = inf", "from 1e-09 to 10"),
        ("epochs = 1e999", "whole number"),
        ("epochs = 3\nepochs = 4", "not TOML in UTF-8"),
        ("[" * 100_000, "not TOML in UTF-8"),
    ],
)
def test_a_wrong_recipe_file_is_refused(text, message, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load(file)


def test_a_recipe_file_with_a_byte_order_mark_is_read_and_utf_16_is_refused(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("epochs = 3\n", encoding="utf-8-sig")
    assert load(file)[1].epochs == 3
    file.write_text("epochs = 3\n", encoding="utf-16")
    with pytest.raises(InputError, match="not TOML in UTF-8"):
        load(file)


def test_a_missing_recipe_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "none.toml")


def test_differences_are_the_changed_fields():
    assert differences(change(RECIPES["lenet5"], {"epochs": 3}), RECIPES["lenet5"]) == {"epochs": 3}
    assert differences(Recipe("lenet5"), RECIPES["plain-lenet5"]) == {}


MEMBERS = """
epochs = 4
members = ["lenet5", "plain-deep-cnn"]
"""


def test_members_are_names_of_recipes_or_tables_of_changed_fields(tmp_path):
    (tmp_path / "named.toml").write_text(MEMBERS)
    _, named = load(tmp_path / "named.toml")
    assert [own.model for own in network_recipes(named)] == ["lenet5", "deep-cnn"]
    assert [own.dropout for own in network_recipes(named)] == [0, 0.25]
    (tmp_path / "given.toml").write_text('epochs = 4\n[[members]]\n[[members]]\nmodel = "lenet-28"\nshift = 1\n')
    _, given = load(tmp_path / "given.toml")
    assert [(own.model, own.shift, own.epochs) for own in network_recipes(given)] == [
        ("lenet5", 2, 4),
        ("lenet-28", 1, 4),
    ]


def test_members_survive_toml_and_json(tmp_path):
    committee = change(
        RECIPES["lenet5"], with_named_members({"members": ["plain-lenet-28", {"shift": 1}], "folds": 5, "full": True})
    )
    (tmp_path / "c.toml").write_text(to_toml(committee))
    assert load(tmp_path / "c.toml")[1] == committee
    assert from_record(json.loads(json.dumps(dataclasses.asdict(committee)))) == committee


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"epochs": 3, "shift": 1}, "epochs 3, shift 1"), ({"batch_norm": False}, "batch_norm off"), ({}, "")],
)
def test_changed_settings_are_described_as_text(changes, words):
    assert describe(change(RECIPES["lenet5"], changes), RECIPES["lenet5"]) == words


def test_members_are_described_by_their_changed_settings():
    committee = change(RECIPES["lenet5"], {"members": [{"learning_rate": 0.02}, {"model": "lenet-28", "shift": 1}, {}]})
    words = "members lenet5 (learning_rate 0.02) + lenet-28 (shift 1) + lenet5"
    assert describe(committee, RECIPES["lenet5"]) == words


def test_the_file_of_a_sweep_is_refused_with_the_command_for_it(tmp_path):
    file = tmp_path / "wide.toml"
    file.write_text("epochs = 3\n[space]\nshift = [0, 1]\n")
    with pytest.raises(InputError, match=r"digits sweep .*wide\.toml"):
        load(file)
