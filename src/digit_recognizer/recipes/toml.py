"""Recipes as text: TOML files, `key=value` settings, and one-line descriptions."""

import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import choose, with_named_members
from digit_recognizer.recipes.recipe import Recipe, change, network_recipes, without
from digit_recognizer.utils.files import read_bytes

_MAX_BYTES = 1_000_000  # a recipe has some hundreds


def load(path: Path) -> tuple[str, Recipe]:
    """Returns the (name, recipe) of a TOML file: fields of Recipe, and `base`, the recipe that has the other fields.

    Raises InputError when the file is missing, is not TOML, or has an unknown key or a wrong value.
    """
    return path.stem, from_settings(read_settings(path), path)


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the content of a TOML file. Raises InputError when it is missing or is not TOML in UTF-8."""
    content = read_bytes(path, _MAX_BYTES)
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not TOML in UTF-8 ({error}). `digits recipes lenet5` prints a recipe to start from."
        ) from error


def from_settings(settings: dict[str, Any], path: Path) -> Recipe:
    """Returns the recipe of a file's `settings`: fields of Recipe, and `base`. Raises InputError as `load` does."""
    if "space" in settings:
        raise InputError(f"{path}: contains a table [space]: it is for `digits sweep {path} --trials N`.")
    base, model = (None if settings.get(key) is None else str(settings[key]) for key in ("base", "model"))
    try:
        _, recipe = choose(base, model)
        return change(recipe, with_named_members(without(settings, ("base", "model"))))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse_settings(words: tuple[str, ...]) -> dict[str, str]:
    """Returns settings as typed, ("epochs=3",), by field: {"epochs": "3"}. Raises InputError for other forms."""
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"expected a setting KEY=VALUE, such as epochs=20; received {word!r}.")
        settings[key.strip()] = value.strip()
    return settings


def to_toml(recipe: Recipe) -> str:
    """Returns the recipe as a file that `load` reads back."""
    settings = asdict(recipe)
    members = settings.pop("members")
    return _toml_lines(settings) + "".join(f"\n[[members]]\n{_toml_lines(own)}" for own in members)


def differences(recipe: Recipe, base: Recipe) -> dict[str, Any]:
    """Returns the fields of `recipe` that differ from `base`, with their values."""
    return {f.name: getattr(recipe, f.name) for f in fields(Recipe) if getattr(recipe, f.name) != getattr(base, f.name)}


def describe(recipe: Recipe, base: Recipe | None = None) -> str:
    """Returns the fields as text, or those that differ from `base`, such as "epochs 3, shift 1"; empty without any."""
    words = differences(recipe, base) if base else asdict(recipe)
    words.pop("members", None)
    if recipe.members:
        words["members"] = " + ".join(_describe_member(own, recipe) for own in network_recipes(recipe))
    return describe_settings(words)


def describe_models(recipe: Recipe) -> str:
    """Returns the names of the models that a recipe trains, such as "lenet5 + wide-cnn"."""
    return " + ".join(dict.fromkeys(own.model for own in network_recipes(recipe)))


def describe_settings(settings: dict[str, Any]) -> str:
    """Returns fields and their values as text, such as "batch_norm off, learning_rate 0.003"."""
    return ", ".join(f"{key} {_format_value(value)}" for key, value in settings.items())


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _describe_member(own: Recipe, recipe: Recipe) -> str:
    words = describe_settings(without(differences(own, recipe), ("model", "members")))
    return f"{own.model} ({words})" if words else own.model


def _toml_lines(settings: dict[str, Any]) -> str:
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in settings.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
