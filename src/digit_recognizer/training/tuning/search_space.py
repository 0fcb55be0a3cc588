"""The file of a sweep: a recipe, the objective, and a table [space] of the fields that vary."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import RUN_FIELDS, Recipe, change, convert, type_of
from digit_recognizer.recipes.toml import describe_settings, from_settings, read_settings
from digit_recognizer.tracking.run_dir import name_from

OBJECTIVES = ("accuracy", "loss")
_MOST = 10_000  # combinations that are listed
_FOLDS = 3  # default: each row is validated once, at three times the cost of a holdout
_EXAMPLE = "[space]\nlearning_rate = { low = 0.003, high = 0.03, log = true }\nbatch_size = [128, 256]"


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; a whole one when they are."""

    low: float
    high: float
    step: float | None = None  # None: any, or 1 for a whole number
    log: bool = False  # drawn evenly on a logarithmic scale


Dimension = Range | tuple[Any, ...]  # a range, or one of these values


@dataclass(frozen=True)
class SearchSpace:
    """What a sweep tries. The objective is cross-validated: accuracy, to be raised, or log-loss, to be lowered.

    Accuracy is the competition's metric. Log-loss resolves smaller gains, but only between recipes with the same label
    smoothing, which raises the log-loss of a network while it improves its labels.
    """

    name: str  # of the study: the file's, without .toml
    file: Path
    objective: str  # one of OBJECTIVES
    recipe: Recipe  # for the fields that do not vary
    dimensions: dict[str, Dimension]  # by field


def load(path: Path) -> SearchSpace:
    """The space of a TOML file: a recipe's file with `objective` and a table [space] in it.

    Raises InputError when the file is missing or not TOML, when a field is unknown or may not vary, and when any
    combination in the space is no recipe.
    """
    settings = read_settings(path)
    objective, table = settings.pop("objective", OBJECTIVES[0]), settings.pop("space", None)
    name = name_from(path.stem)
    if name != path.stem:
        raise InputError(
            f"{path}: expected a name of up to 60 letters, digits, '.', '_' or '-', which names the study. "
            f"Rename it, perhaps to {name}.toml."
        )
    if objective not in OBJECTIVES:
        raise InputError(f"{path}: objective: expected {' or '.join(OBJECTIVES)}, received {objective!r}.")
    recipe = from_settings({"folds": _FOLDS, **settings}, path)
    if not recipe.folds:
        raise InputError(f"{path}: folds: expected 2 or more, received 0. The objective of a sweep is cross-validated.")
    if not isinstance(table, dict) or not table:
        received = "nothing" if table is None or table == {} else repr(table)
        raise InputError(
            f"{path}: expected a table [space] of the fields to vary, received {received}. Such as\n{_EXAMPLE}"
        )
    try:
        dimensions = {field: _dimension(field, value) for field, value in table.items()}
        _check_corners(recipe, dimensions)
    except InputError as error:
        raise InputError(f"{path}: [space] {error}") from None
    return SearchSpace(name, path, objective, recipe, dimensions)


def to_record(space: SearchSpace) -> dict[str, Any]:
    """The space as values that JSON holds; two spaces are the same when their records are."""
    dimensions = {
        field: asdict(dimension) if isinstance(dimension, Range) else list(dimension)
        for field, dimension in space.dimensions.items()
    }
    return {"objective": space.objective, "recipe": recipe_record(space.recipe), "space": dimensions}


def recipe_record(recipe: Recipe) -> dict[str, Any]:
    """The recipe as values that JSON holds and gives back the same."""
    return {**asdict(recipe), "members": list(recipe.members)}


def combinations(space: SearchSpace) -> list[dict[str, Any]] | None:
    """Every combination of the space's values; None when there are more than can be listed."""
    values = [_values(dimension) for dimension in space.dimensions.values()]
    if prod(len(own) or _MOST + 1 for own in values) > _MOST:
        return None
    return [dict(zip(space.dimensions, own, strict=True)) for own in product(*values)]


def _values(dimension: Dimension) -> Sequence[Any]:
    """All values of a dimension, none when there are more than can be listed."""
    if not isinstance(dimension, Range):
        return dimension
    step = dimension.step or (1 if isinstance(dimension.low, int) else 0)
    n = round((dimension.high - dimension.low) / step) + 1 if step else 0
    return [dimension.low + number * step for number in range(n)] if n <= _MOST else []


def _dimension(field: str, value: Any) -> Dimension:
    kind = type_of(field)
    if field in RUN_FIELDS:
        raise InputError(
            f"{field}: expected a field of the training, received one that all trials share, so that they can be "
            "compared. Set it outside [space]."
        )
    if isinstance(value, list):
        choices = tuple(convert(field, choice) for choice in value)
        if len(set(choices)) < max(2, len(choices)):
            raise InputError(f"{field}: expected two different values or more, received {value!r}.")
        return choices
    if not isinstance(value, dict):
        raise InputError(
            f"{field}: expected a list of values or {{ low = ..., high = ... }}, received {value!r}. "
            "Set a value that does not vary outside [space]."
        )
    if kind not in (int, float):
        raise InputError(f"{field}: expected a list of values, received a range. There is nothing between its values.")
    return _range(field, value)


def _range(field: str, given: dict[str, Any]) -> Range:
    if not {"low", "high"} <= set(given) <= {"low", "high", "step", "log"}:
        raise InputError(f"{field}: expected low and high, perhaps step or log, received {', '.join(given) or 'none'}.")
    low, high = convert(field, given["low"]), convert(field, given["high"])
    if not low < high:
        raise InputError(f"{field}: expected low < high, received low = {low}, high = {high}.")
    log, step = given.get("log", False), given.get("step")
    if not isinstance(log, bool):
        raise InputError(f"{field}: log: expected true or false, received {log!r}.")
    if log and low <= 0:
        raise InputError(f"{field}: expected low > 0 for log = true, received {low}. Raise it, or leave log out.")
    if step is None:
        return Range(low, high, None, log)
    if log:
        raise InputError(f"{field}: expected step or log, received both. Leave one out.")
    if isinstance(step, bool) or not isinstance(step, type(low) if isinstance(low, int) else (int, float)) or step <= 0:
        kind = "whole number" if isinstance(low, int) else "number"
        raise InputError(f"{field}: step: expected a {kind} above 0, received {step!r}.")
    if (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
        raise InputError(f"{field}: expected high = low + a multiple of step, received {low}, {high} and step {step}.")
    return Range(low, high, step, False)


def _check_corners(recipe: Recipe, dimensions: dict[str, Dimension]) -> None:
    """Raise InputError when some combination is no recipe.

    Beyond the range of each field, a recipe refuses pairs of values in which a number matters only as zero or not, so
    the ends of each numeric dimension cover it.
    """
    for values in product(*(_ends(dimension) for dimension in dimensions.values())):
        settings = dict(zip(dimensions, values, strict=True))
        try:
            change(recipe, settings)
        except InputError as error:
            raise InputError(f"holds {describe_settings(settings)}: {error}") from None


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension, Range):
        return dimension.low, dimension.high
    numbers = all(isinstance(choice, (int, float)) for choice in dimension)
    return (min(dimension), max(dimension)) if numbers else dimension
