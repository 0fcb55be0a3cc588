"""Recipes as text: TOML files, `key=value` settings, and one-line descriptions."""

import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import choose, with_named_members
from digit_recognizer.recipes.recipe import Recipe, change, network_recipes, type_of
from digit_recognizer.utils.files import read_bytes

_MAX_BYTES = 1_000_000  # of a recipe, which has some hundreds


def load(path: Path) -> tuple[str, Recipe]:
    """The (name, recipe) of a TOML file: fields of Recipe, and `base`, a name in RECIPES for those not given.

    Raises InputError when the file is missing, not TOML, or holds an unknown key or a wrong value.
    """
    return path.stem, from_settings(read_settings(path), path)


def read_settings(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises InputError when it is missing or not TOML."""
    try:
        return tomllib.loads(read_bytes(path, _MAX_BYTES).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected text in UTF-8, received another encoding. Save it as UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a readable recipe ({error}). `digits recipes lenet5` prints one to start from."
        ) from error


def from_settings(settings: dict[str, Any], path: Path) -> Recipe:
    """The recipe of what the file at `path` holds: fields, `base` and `model`. Raises InputError as `load` does."""
    if not settings:
        raise InputError(f"{path}: no settings in it. `digits recipes lenet5` prints a recipe to start from.")
    if "space" in settings:
        raise InputError(f"{path}: the file of a sweep, by its table [space]: `digits sweep {path} --trials N`.")
    base, model = (settings.get(key) for key in ("base", "model"))
    try:
        _check_types(settings)
        _, recipe = choose(None if base is None else str(base), None if model is None else str(model))
        own = {key: value for key, value in settings.items() if key not in ("base", "model")}
        return change(recipe, with_named_members(own))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_types(settings: dict[str, Any]) -> None:
    """Raise InputError for a number in quotes, which only --set accepts."""
    members = settings.get("members", [{}])
    if members == []:
        raise InputError("members is empty. List recipes or tables there, or leave it out.")
    tables = [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []
    for table in (settings, *tables):
        for key, value in table.items():
            if key not in ("base", "members") and isinstance(value, str) and type_of(key) is not str:
                raise InputError(
                    f'{key} = "{value}": expected a number, or true or false, without quotes; received a text.'
                )


def parse_settings(words: tuple[str, ...]) -> dict[str, str]:
    """The settings of --set options: ("epochs=3",) -> {"epochs": "3"}. Raises InputError on other forms."""
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"--set {word}: expected key=value, such as --set epochs=20.")
        settings[key.strip()] = value.strip()
    return settings


def to_toml(recipe: Recipe) -> str:
    """The recipe as a file that `load` reads back."""
    settings = asdict(recipe)
    members = settings.pop("members")
    return _toml_lines(settings) + "".join(f"\n[[members]]\n{_toml_lines(own)}" for own in members)


def differences(recipe: Recipe, base: Recipe) -> dict[str, Any]:
    """The fields, with their values, in which `recipe` is not as `base`."""
    return {f.name: getattr(recipe, f.name) for f in fields(Recipe) if getattr(recipe, f.name) != getattr(base, f.name)}


def describe_changes(recipe: Recipe, base: Recipe) -> str:
    """The differences as text: "epochs 3, shift 1"; empty where there are none."""
    words = [f"{key} {format_value(value)}" for key, value in differences(recipe, base).items() if key != "members"]
    if recipe.members:
        words.append(f"members {describe_members(recipe)}")
    return ", ".join(words)


def describe_recipe(recipe: Recipe) -> str:
    """Every field and its value."""
    words = [f"{key} {format_value(value)}" for key, value in asdict(recipe).items() if key != "members"]
    return ", ".join(words + [f"members {describe_members(recipe)}"] * bool(recipe.members))


def describe_members(recipe: Recipe) -> str:
    """The members, each with what is other than in `recipe`: "lenet5 (shift 1) + wide-cnn"."""
    return " + ".join(_member_in_words(own, recipe) for own in network_recipes(recipe))


def describe_models(recipe: Recipe) -> str:
    """The names of the models it trains: "lenet5 + wide-cnn"."""
    return " + ".join(dict.fromkeys(own.model for own in network_recipes(recipe)))


def _member_in_words(own: Recipe, recipe: Recipe) -> str:
    others = {"model", "members"}
    words = [f"{key} {format_value(value)}" for key, value in differences(own, recipe).items() if key not in others]
    return f"{own.model} ({', '.join(words)})" if words else own.model


def format_value(value: Any) -> str:
    """A field's value as text: on, off, 0.003, pad; none for an empty string."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _toml_lines(settings: dict[str, Any]) -> str:
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in settings.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
