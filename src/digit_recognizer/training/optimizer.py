"""AdamW and its learning rate schedules."""

from typing import Any

import keras
from keras import ops

from digit_recognizer.recipes.recipe import Recipe


def optimizer_of(recipe: Recipe, n_steps: int) -> "AdamW":
    """Returns the optimizer of a training of `n_steps` steps."""
    return AdamW(
        schedule_of(recipe, n_steps),
        weight_decay=recipe.weight_decay,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema,
        name="adamw",
    )


def schedule_of(recipe: Recipe, n_steps: int) -> Any:
    """Returns the learning rate over `n_steps` steps: a number, or a Keras schedule."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return Triangle(recipe.learning_rate, recipe.warm_up * n_steps, n_steps)


class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """Keras's AdamW without its step at the end of `fit`: there, Keras replaces the weights by their moving average.

    Here `fit` runs once per epoch, and the next epoch continues from the weights themselves.
    """

    def finalize_variable_values(self, variables: Any) -> None:
        pass

    def use_average(self, variables: Any) -> None:
        """Replace the weights by their moving average."""
        super().finalize_variable_values(variables)


class Triangle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly to `peak` over the first `up` steps and falls linearly to 0 at `n_steps`."""

    def __init__(self, peak: float, up: float, n_steps: int) -> None:
        self.peak, self.up, self.n_steps = peak, up, n_steps

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        return self.peak * ops.minimum((step + 1) / (self.up + 1), (self.n_steps - step) / (self.n_steps - self.up))
