"""The recipe: every setting of a training in one frozen, checked record, and functions that change it."""

from collections.abc import Container
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from typing import Any, get_type_hints

from digit_recognizer.data.augmentation import Augmentation
from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import MODELS


@dataclass(frozen=True)
class Recipe:
    """The settings that, with the data, determine a training; only `model` has no default.

    Training:
        model: a name in `dr.list_models()`.
        epochs: from 1.
        batch_size: from 1, at most: all batches of an epoch are equal.
        learning_rate: the highest of the schedule, above 0.
        schedule: "constant", or "triangle": linearly up from 0 during `warm_up`, then down to 0 (after Smith 2017).
        warm_up: fraction of all steps, in [0, 1).
        weight_decay: AdamW's (Loshchilov, Hutter 2019), in [0, 1]; 0 is plain Adam.
        loss: "cross-entropy", or "map": LeCun 1998, equation 9.
        label_smoothing: probability spread over all digits (Szegedy et al. 2016), in [0, 1).
        batch_norm: whether batch normalisation precedes each ReLU; it is folded into the weights after the training.
        dropout: rate (Srivastava et al. 2014), in [0, 1).
        ema: momentum of the average of the weights (Polyak, Juditsky 1992), in [0, 1); 0 uses the last weights.
        teacher: a run whose networks' probabilities of each augmented image are targets, besides the label.
        teacher_weight: weight of the teacher's cross-entropy, from 0 to 1000; that of the label's is 1.

    Random augmentation, drawn for each image and epoch:
        shift: at most this number of pixels, 0 to 8.
        rotate: at most this number of degrees, 0 to 45.
        zoom: at most this fraction of the size, 0 to 0.5.
        shear: at most this number of columns per row, 0 to 0.5.
        elastic: scale of the smooth displacement field, in pixels, 0 to 4.
        clean: number of last epochs without augmentation.

    Data and networks:
        fit: from 28x28 to 32x32: "pad" by zeros, or "resize", bilinear.
        validation: fraction of train.csv that is held out, stratified, 0 to 0.9; 0 trains on all of it.
        folds: number of folds of stratified cross-validation, which replaces `validation`, 2 to 50; 0 for none.
        full: whether test.csv is predicted by networks trained on all of train.csv.
        seeds: number of networks, of seed, seed + 1, ..., from 1.
        seed: of the split, the initial weights, the order and the augmentation, from 0.
        tta: test-time augmentation: "none", "shift" (averages 9 positions) or "rotate" (also 2 angles).
        threads: CPU threads that train a network, 0 for all; the bits depend on it.
        members: tables of the fields in which each network of a committee differs.

    Raises InputError for a value of another type or out of its range, and for settings that exclude each other.

    Example: `dr.train(data, dr.Recipe("lenet5", epochs=3, learning_rate=0.002, rotate=10.0), name="own")`
    """

    model: str
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warm_up: float = 0.0
    weight_decay: float = 0.0
    loss: str = "cross-entropy"
    label_smoothing: float = 0.0
    batch_norm: bool = False
    dropout: float = 0.0
    shift: int = 0
    rotate: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    clean: int = 0
    ema: float = 0.0
    teacher: str = ""
    teacher_weight: float = 9.0
    fit: str = "pad"
    validation: float = 0.1
    folds: int = 0
    full: bool = False
    seeds: int = 1
    seed: int = 0
    tta: str = "none"
    threads: int = 0
    members: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, convert(field.name, getattr(self, field.name)))
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                hint = nearest(str(value), choices)
                raise InputError(f"{name} must be one of {', '.join(choices)}; received {value!r}.{hint}")
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} must be from {low} to {high}; received {getattr(self, name)}.")
        if self.folds == 1:
            raise InputError("folds must be 0 (none) or at least 2; received 1.")
        if self.fit == "resize" and MODELS[self.model].side == 28:
            raise InputError(f'fit = "resize" is for 32x32 models; {self.model} takes the 28x28 images as is.')
        if self.batch_norm and not MODELS[self.model].relu:
            raise InputError(f"batch_norm is for built-in models with ReLUs, not for {self.model}; set it to false.")
        if self.loss == "map" and self.label_smoothing:
            raise InputError("label_smoothing is for the cross-entropy; set it to 0, or choose that loss.")
        if self.schedule == "constant" and self.warm_up:
            raise InputError('warm_up is for schedule = "triangle"; set it to 0, or choose that schedule.')
        if self.members:
            network_recipes(self)

    @property
    def augmentation(self) -> Augmentation:
        """The limits of the random augmentation of each image in each epoch."""
        return Augmentation(self.rotate, self.zoom, self.shear, self.shift, self.elastic)


_CHOICES = {
    "model": MODELS,  # users may register more
    "schedule": ("constant", "triangle"),
    "loss": ("cross-entropy", "map"),
    "fit": ("pad", "resize"),
    "tta": ("none", "shift", "rotate"),
}
RUN_FIELDS = {"teacher", "teacher_weight", "validation", "folds", "full", "seeds", "seed", "tta", "threads", "members"}
_ALMOST_1 = 0.999
_RANGES = {
    "epochs": (1, 100_000),
    "batch_size": (1, 65_536),
    "learning_rate": (1e-9, 10),
    "warm_up": (0, _ALMOST_1),
    "weight_decay": (0, 1),
    "label_smoothing": (0, _ALMOST_1),
    "dropout": (0, _ALMOST_1),
    "shift": (0, 8),
    "rotate": (0, 45),
    "zoom": (0, 0.5),
    "shear": (0, 0.5),
    "elastic": (0, 4),
    "clean": (0, 100_000),
    "ema": (0, _ALMOST_1),
    "teacher_weight": (0, 1000),
    "validation": (0, 0.9),
    "folds": (0, 50),
    "seeds": (1, 1000),
    "seed": (0, 2**32 - 1000),  # NumPy's and Keras's seeds are below 2**32, also the last of `seeds`
    "threads": (0, 1024),
}
# Types of values that are not converted to the type of a field. Text is, as it may come from the command line.
_REFUSED: dict[type, tuple[type, ...]] = {int: (bool, float), float: (bool,), str: (bool, int, float)}


_OPTIONS = {"refit": "full", "resize": "fit"}  # names of options, for fields whose stored names stay


def change(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """Returns `recipe` with some fields changed, in all its members, too; values may be text from the command line.

    `members` are tables of fields; `catalog.with_named_members` makes them from names. Raises InputError for a wrong
    key or value.
    """
    settings = {_OPTIONS.get(key, key): value for key, value in settings.items()}
    values = {key: convert(key, value) for key, value in settings.items()}
    if "members" not in values:
        if recipe.members and "model" in values:
            raise InputError("model: this recipe trains several networks, each of its own model. Leave model out.")
        values["members"] = tuple(without(own, values) for own in recipe.members)
    return replace(recipe, **values)


def convert(key: str, value: Any) -> Any:
    """Returns `value`, which may be text from the command line, in the type of the field `key`.

    Raises InputError for an unknown key and for a value of another type.
    """
    kind = type_of(key)
    if key == "members":
        if not isinstance(value, (list, tuple)) or not all(isinstance(own, dict) for own in value):
            raise InputError(f"members must be a list of recipes' names or of tables; received {value!r}.")
        return tuple(value)
    try:
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(value, _REFUSED[kind]):
            raise ValueError
        return kind(value)
    except (KeyError, ValueError, TypeError):
        expected = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
        raise InputError(f"{key} must be {expected}; received {value!r}.") from None


@cache
def type_of(key: str) -> type:
    """Returns the type of a field. Raises InputError when a recipe has no such field."""
    types = get_type_hints(Recipe)
    if key not in types:
        raise InputError(f"a recipe has no field {key!r}.{nearest(key, types)} The fields: {', '.join(types)}.")
    kind: type = types[key]
    return kind


def from_record(record: dict[str, Any]) -> Recipe:
    """Returns the recipe of `asdict(recipe)`, read back from JSON. Raises InputError when this version refuses it."""
    return change(Recipe(record["model"]), record)


def network_recipes(recipe: Recipe) -> tuple[Recipe, ...]:
    """Returns the recipes of the networks that one seed and one split train: the members, or the recipe itself.

    Raises InputError when a member sets a field of RUN_FIELDS, or a value that a recipe refuses.
    """
    found = []
    for position, settings in enumerate(recipe.members, start=1):
        try:
            if shared := RUN_FIELDS & set(settings):
                raise InputError(f"{min(shared)} is a setting of the whole run; set it outside the members.")
            found.append(change(replace(recipe, members=()), settings))
        except InputError as error:
            raise InputError(f"member {position}: {error}") from None
    return tuple(found) or (recipe,)


def network_recipe(recipe: Recipe, name: str) -> Recipe:
    """Returns the recipe of a network by its name, which begins with the member's position if there are members."""
    own = network_recipes(recipe)
    return own[int(name.partition("-")[0]) - 1] if len(own) > 1 else own[0]


def without(settings: dict[str, Any], keys: Container[str]) -> dict[str, Any]:
    """Returns `settings` without these keys."""
    return {key: value for key, value in settings.items() if key not in keys}


def nearest(word: str, known: Any) -> str:
    """Returns a hint for a mistyped name, such as " Did you mean lenet5?", or an empty string."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""
