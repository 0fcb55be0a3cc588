"""RECIPES by name, and the choice of a recipe by its name or a model's."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import RUN_FIELDS, Recipe, change, nearest, without

_FAST = Recipe(
    "lenet5",
    batch_size=256,
    learning_rate=1e-2,
    schedule="triangle",
    warm_up=0.2,
    label_smoothing=0.1,
    batch_norm=True,
)
_LONG = replace(_FAST, weight_decay=0.01, rotate=12.0, zoom=0.12, shear=0.12, shift=2, elastic=0.5, clean=1)
_LARGE = replace(_LONG, batch_size=128, learning_rate=5e-3, label_smoothing=0.0, dropout=0.2)
# The plain recipes are those of tutorials: Adam 1e-3, batch 128, 10 epochs, no augmentation.
RECIPES = {
    "quick": replace(_FAST, epochs=2, batch_size=128, shift=1),
    "lenet5": replace(_FAST, epochs=26, weight_decay=0.01, rotate=10.0, zoom=0.1, shear=0.1, shift=2, clean=1),
    "lenet5-best": replace(_LONG, epochs=60, tta="shift"),
    "strong": replace(_LARGE, model="wide-cnn", epochs=40, tta="shift"),
    "committee": replace(
        _LARGE,
        model="wide-cnn",
        epochs=40,
        seeds=5,
        tta="shift",
        members=(
            {},
            {"model": "strided-cnn", "epochs": 20, "label_smoothing": 0.1},
            {
                "model": "lenet5",
                "epochs": 26,
                "batch_size": 256,
                "learning_rate": 1e-2,
                "label_smoothing": 0.1,
                "dropout": 0.0,
            },
        ),
    ),
    "plain-lenet5": Recipe("lenet5"),
    "plain-lenet5-1998": Recipe("lenet5-1998", loss="map"),  # the paper's loss trains as well by Adam, unchanged
    "plain-lenet-28": Recipe("lenet-28"),
    "plain-deep-cnn": Recipe("deep-cnn", dropout=0.25, validation=0.2),
    "plain-simple-cnn": Recipe("simple-cnn", dropout=0.2, batch_size=32),
    "plain-strided-cnn": Recipe("strided-cnn", dropout=0.4),
    "plain-vgg-small": Recipe("vgg-small"),
    "plain-wide-cnn": Recipe("wide-cnn", batch_size=200),
}
DEFAULT = "lenet5"


@dataclass(frozen=True)
class Note:
    """The purpose of a recipe, and its measured accuracy and time (docs/benchmarks.md)."""

    purpose: str
    accuracy: float  # on 10 % of Kaggle's train.csv, held out; mean over n seeds
    n: int
    minutes: float  # from start to submission on 2 cores


NOTES = {
    "quick": Note("a first submission", 0.9919, 5, 0.4),
    "lenet5": Note("the default", 0.9953, 5, 1.3),
    "lenet5-best": Note("LeNet-5 trained for longer", 0.9955, 5, 2.8),
    "strong": Note("a larger network", 0.9958, 5, 5.3),
    "committee": Note("15 networks (3 measured)", 0.9962, 1, 66.0),  # accuracy of one seed by 3 folds
    "plain-lenet5": Note("LeNet-5 as tutorials train it", 0.9833, 3, 0.5),
    "plain-lenet5-1998": Note("the network of the 1998 paper", 0.9834, 3, 0.6),
    "plain-lenet-28": Note("LeNet-5 on 28x28 images", 0.9845, 3, 0.4),
    "plain-deep-cnn": Note("four convolutions, notebooks", 0.9909, 1, 1.9),
    "plain-simple-cnn": Note("one convolution, tutorials", 0.9818, 3, 0.8),
    "plain-strided-cnn": Note("network of a public ensemble", 0.9912, 1, 3.6),
    "plain-vgg-small": Note("pairs of 3x3 convolutions", 0.9886, 1, 3.5),
    "plain-wide-cnn": Note("two convolutions, tutorials", 0.9875, 3, 0.8),
}


def choose(recipe: str | None, model: str | None) -> tuple[str, Recipe]:
    """Returns the (name, recipe) for a recipe's name and a model, either of which may be None.

    A model without a recipe has the recipe of its name, or else its plain one, which `plain` also names. With both,
    the recipe trains that model. Raises InputError for an unknown name.
    """
    if model is not None and model not in MODELS:
        raise InputError(f"there is no model {model!r}.{nearest(model, MODELS)} `digits models` lists them.")
    if recipe == "plain":
        recipe, model = f"plain-{model or RECIPES[DEFAULT].model}", None
    if recipe is None and model is not None:
        recipe = model if model in RECIPES else f"plain-{model}"
    if recipe is None:
        recipe = DEFAULT
    if recipe not in RECIPES:
        raise InputError(f"there is no recipe {recipe!r}.{nearest(recipe, RECIPES)} `digits recipes` lists them.")
    chosen = RECIPES[recipe]
    return recipe, chosen if model is None else change(chosen, {"model": model})


def with_named_members(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns `settings` with members that are names of recipes replaced by tables of these recipes' fields.

    Other fields of `settings` apply to such a member, too. Raises InputError for an unknown name, and for a recipe that
    has members itself.
    """
    members = settings.get("members")
    if not isinstance(members, (list, tuple)):
        return settings
    return {**settings, "members": [_member(own, settings) if isinstance(own, str) else own for own in members]}


def _member(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    _, recipe = choose(name, None)
    if recipe.members:
        raise InputError(f"members: {name} has several networks itself; name recipes of one.")
    return without(asdict(recipe), RUN_FIELDS | settings.keys())
