"""AdamW, and the schedules of its learning rate."""

from typing import Any

import keras
from keras import ops

from digit_recognizer.recipes.recipe import Recipe


def optimizer_of(recipe: Recipe, n_steps: int) -> "AdamW":
    """The optimizer of a training of `n_steps` steps."""
    return AdamW(
        schedule_of(recipe, n_steps),
        weight_decay=recipe.weight_decay,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema,
        name="adamw",
    )


def schedule_of(recipe: Recipe, n_steps: int) -> Any:
    """The learning rate over `n_steps` steps: a number, or a Keras schedule."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return Triangle(recipe.learning_rate, recipe.warm_up * n_steps, n_steps)


class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """Keras's AdamW, which keeps the weights at the end of `fit`.

    Keras's own replaces them by their moving average there, from which the next epoch would go on.
    """

    def finalize_variable_values(self, variables: Any) -> None:
        pass

    def keep_average(self, variables: Any) -> None:
        super().finalize_variable_values(variables)


class Triangle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly to `peak` over the first `up` steps and falls linearly to 0 at `n_steps`."""

    def __init__(self, peak: float, up: float, n_steps: int) -> None:
        self.peak, self.up, self.n_steps = peak, up, n_steps

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        return self.peak * ops.minimum((step + 1) / (self.up + 1), (self.n_steps - step) / (self.n_steps - self.up))

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "up": self.up, "n_steps": self.n_steps}
