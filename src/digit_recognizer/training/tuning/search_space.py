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
from digit_recognizer.training.tuning.storage import require_optuna

OBJECTIVES = ("accuracy", "loss")
_MAX_COMBINATIONS = 10_000  # that are listed
_FOLDS = 3  # default: each row is validated once, at three times the cost of a holdout
_EXAMPLE = "[space]\nlearning_rate = { low = 0.003, high = 0.03, log = true }\nbatch_size = [128, 256]"


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high` inclusive; an integer when they are."""

    low: float
    high: float
    step: float | None = None  # None: 1 for integers, otherwise continuous
    log: bool = False  # sampled uniformly on a logarithmic scale


Dimension = Range | tuple[Any, ...]  # a range, or choices


@dataclass(frozen=True)
class SearchSpace:
    """The recipes of a sweep. The objective is cross-validated: accuracy, maximized, or log-loss, minimized.

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

    Raises InputError when the file is missing or not TOML, when a field is unknown or may not vary, and when a
    combination of values is not a valid recipe. Raises RunError when Optuna is not installed.
    """
    settings = read_settings(path)
    objective, table = settings.pop("objective", OBJECTIVES[0]), settings.pop("space", None)
    name = name_from(path.stem)
    if name != path.stem:
        raise InputError(
            f"{path}: expected a name of up to 60 letters, digits, '.', '_' or '-', which names the study. "
            f"Rename it, for example to {name}.toml."
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
    """The space as JSON values; two spaces are equal when their records are."""
    dimensions = {
        field: asdict(dimension) if isinstance(dimension, Range) else list(dimension)
        for field, dimension in space.dimensions.items()
    }
    return {"objective": space.objective, "recipe": recipe_record(space.recipe), "space": dimensions}


def recipe_record(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON values, which a round trip does not change."""
    return {**asdict(recipe), "members": list(recipe.members)}


def distribution(dimension: Dimension) -> Any:
    """Optuna's distribution. Raises ValueError for an invalid range, RunError when Optuna is not installed."""
    distributions = require_optuna().distributions
    if not isinstance(dimension, Range):
        return distributions.CategoricalDistribution(dimension)
    low, high, step, log = dimension.low, dimension.high, dimension.step, dimension.log
    if isinstance(low, int):
        return distributions.IntDistribution(low, high, log, 1 if step is None else step)
    return distributions.FloatDistribution(low, high, log, step)


def combinations(space: SearchSpace) -> list[dict[str, Any]] | None:
    """Every combination of the space's values; None when there are too many to list."""
    values = [_values(dimension) for dimension in space.dimensions.values()]
    if prod(len(own) or _MAX_COMBINATIONS + 1 for own in values) > _MAX_COMBINATIONS:
        return None
    return [dict(zip(space.dimensions, own, strict=True)) for own in product(*values)]


def _values(dimension: Dimension) -> Sequence[Any]:
    """All values of a dimension; empty when there are too many to list."""
    if not isinstance(dimension, Range):
        return dimension
    step = dimension.step or (1 if isinstance(dimension.low, int) else 0)
    n = round((dimension.high - dimension.low) / step) + 1 if step else 0
    return [dimension.low + number * step for number in range(n)] if n <= _MAX_COMBINATIONS else []


def _dimension(field: str, value: Any) -> Dimension:
    kind = type_of(field)
    if field in RUN_FIELDS:
        raise InputError(
            f"{field}: expected a field of the training, received one that all trials share. Set it outside [space]."
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
        raise InputError(f"{field}: expected a list of values, received a range, which needs a number.")
    return _range(field, value)


def _range(field: str, given: dict[str, Any]) -> Range:
    if not {"low", "high"} <= set(given) <= {"low", "high", "step", "log"}:
        raise InputError(
            f"{field}: expected low and high, optionally step or log, received {', '.join(given) or 'none'}."
        )
    low, high = convert(field, given["low"]), convert(field, given["high"])
    step, log = given.get("step"), given.get("log", False)
    if not isinstance(log, bool):
        raise InputError(f"{field}: log: expected true or false, received {log!r}.")
    if step is not None:
        step = convert(field, step)
        if step > 0 and (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):  # for which Optuna only warns
            raise InputError(f"{field}: expected high = low + a multiple of step, received {low}, {high}, step {step}.")
    found = Range(low, high, step, log)
    try:
        distribution(found)
    except ValueError as error:
        raise InputError(f"{field}: {error}") from None
    return found


def _check_corners(recipe: Recipe, dimensions: dict[str, Dimension]) -> None:
    """Raise InputError when a combination of values is not a valid recipe.

    Besides the range of each field, a recipe checks pairs of values, for which it only matters whether a number is
    zero. The ends of each numeric dimension therefore cover it.
    """
    for values in product(*(_ends(dimension) for dimension in dimensions.values())):
        settings = dict(zip(dimensions, values, strict=True))
        try:
            change(recipe, settings)
        except InputError as error:
            raise InputError(f"contains {describe_settings(settings)}: {error}") from None


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension, Range):
        return dimension.low, dimension.high
    numbers = all(isinstance(choice, (int, float)) for choice in dimension)
    return (min(dimension), max(dimension)) if numbers else dimension
