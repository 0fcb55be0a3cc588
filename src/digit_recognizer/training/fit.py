"""The training of one network: `fit(recipe, images, labels)`.

The recipe's seed determines the initial weights, and with the epoch the order of the images and their augmentation.
Dropout's random state continues from epoch to epoch and is part of the checkpoint.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from digit_recognizer.data.augmentation import Augmentation, draw_coefficients
from digit_recognizer.errors import DivergedError, InputError
from digit_recognizer.evaluation.metrics import Metrics, evaluate
from digit_recognizer.evaluation.prediction import log_probabilities
from digit_recognizer.models import batch_norm
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.training.augmented_model import AugmentedModel
from digit_recognizer.training.losses import loss_of
from digit_recognizer.training.optimizer import AdamW, optimizer_of
from digit_recognizer.training.state import NO_HOOKS, Checkpoint, FitHooks

# Steps in one compiled program. On TensorFlow, a single step is a third slower for LeNet-5; on JAX, Keras compiles one
# step whatever the number; on PyTorch it allows only 1.
_STEPS_PER_EXECUTION = {"tensorflow": 16, "jax": 16}
_N_STATISTICS, _STATISTICS_BATCH = 8_000, 1_000  # images for the final statistics of batch normalisation


def fit(
    recipe: Recipe,
    images: np.ndarray,
    labels: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    teachers: Sequence[Any] = (),
    checkpoint: Checkpoint | None = None,
    hooks: FitHooks = NO_HOOKS,
) -> tuple[Any, tuple[Epoch, ...]]:
    """Train `recipe` on (n, side, side, 1) float32 images in [0, 1] and (n,) labels 0..9.

    For training, pixels are rounded to 256 levels. `validation` is (images, labels) to evaluate after each epoch, never
    trained on. The network also learns the predictions of the `teachers`, networks of any side, which are not trained.
    From a `checkpoint` of the same training it continues, with the same bits on the same machine.

    Returns the network, with batch normalisation folded into its weights, and the history of all epochs. Raises
    DivergedError when the loss or a weight is NaN or infinite, InputError when the checkpoint is another network's.
    """
    history = list(checkpoint.history) if checkpoint else []
    start = time.perf_counter() - (checkpoint.seconds if checkpoint else 0)
    keras.backend.clear_session()  # of the previous network
    keras.utils.set_random_seed(recipe.seed)
    plain = MODELS[recipe.model].build(dropout=recipe.dropout)
    model = batch_norm.insert(plain) if recipe.batch_norm else plain
    n_steps = -(-len(images) // recipe.batch_size)
    batch_size = len(images) // n_steps  # equal batches; each epoch leaves out fewer than `n_steps` images
    augmented = AugmentedModel(model, images, teachers, recipe.teacher_weight)
    optimizer = _compile(augmented, recipe, n_steps)
    variables = [*model.variables, *optimizer.variables]
    if checkpoint:
        _restore(variables, checkpoint)
    one_hot = np.eye(10, dtype=np.float32)[labels]
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        order = _order(recipe, epoch, len(images))[: n_steps * batch_size]
        augmentation = recipe.augmentation if epoch <= recipe.epochs - recipe.clean else Augmentation()
        coefficients = draw_coefficients(augmentation, len(order), recipe.seed, epoch)
        inputs = {"rows": order.astype(np.int32), "coefficients": coefficients}
        epoch_data, steps = _epoch_data(inputs, one_hot[order], batch_size), _Steps(hooks.on_batch, n_steps)
        logs = augmented.fit(**epoch_data, shuffle=False, verbose=0, callbacks=[steps]).history
        metrics = evaluate(log_probabilities(model, validation[0]), validation[1]) if validation else None
        record = _record(epoch, logs, metrics, time.perf_counter() - start)
        values = tuple(np.asarray(variable).copy() for variable in variables)
        _check_finite(recipe, epoch, (logs["loss"], record.validation_loss or 0, *values))
        history.append(record)
        hooks.on_checkpoint(Checkpoint(tuple(history), values, tuple(variable.path for variable in variables)))
        hooks.on_epoch(record)
    if recipe.ema:
        optimizer.use_average(augmented.trainable_variables)
    if recipe.batch_norm:
        measured = images[_order(recipe, recipe.epochs, len(images))[: n_steps * batch_size][:_N_STATISTICS]]
        batch_norm.measure(model, np.array_split(measured, -(-len(measured) // _STATISTICS_BATCH)))
        batch_norm.fold(model, plain)
    return plain, tuple(history)


def _check_finite(recipe: Recipe, epoch: int, values: Sequence[Any]) -> None:
    """Raise DivergedError when a loss or weight is NaN or infinite."""
    if not all(np.isfinite(value).all() for value in values):
        raise DivergedError(
            f"Training diverged in epoch {epoch}: the loss or a weight is NaN or infinite. Set a lower learning_rate, "
            f"such as {recipe.learning_rate / 3:.1g}."
        )


def _order(recipe: Recipe, epoch: int, n: int) -> np.ndarray:
    """Returns the order of `n` images in an epoch, a function of the recipe's seed and the epoch."""
    return np.random.default_rng((recipe.seed, epoch)).permutation(n)


def _epoch_data(inputs: dict[str, np.ndarray], labels: np.ndarray, batch_size: int) -> dict[str, Any]:
    """Returns the arguments of Keras's `fit` for an epoch of full batches, in their order.

    On TensorFlow a dataset without autotuning, as Keras's own waits for its tuning thread at the end of an epoch.
    """
    if keras.backend.backend() != "tensorflow":
        return {"x": inputs, "y": labels, "batch_size": batch_size}
    import tensorflow as tf

    batches = keras.tree.map_structure(lambda array: array.reshape(-1, batch_size, *array.shape[1:]), (inputs, labels))
    options = tf.data.Options()
    options.autotune.enabled = False
    return {"x": tf.data.Dataset.from_tensor_slices(batches).with_options(options)}


def _record(epoch: int, logs: dict[str, list[float]], metrics: Metrics | None, seconds: float) -> Epoch:
    return Epoch(
        epoch,
        float(logs["log_loss"][0]),
        float(logs["accuracy"][0]),
        metrics.log_loss if metrics else None,
        metrics.accuracy if metrics else None,
        round(seconds, 3),
    )


def _restore(variables: Sequence[Any], checkpoint: Checkpoint) -> None:
    expected, received = (
        [(tuple(one.shape), str(one.dtype)) for one in some] for some in (variables, checkpoint.variables)
    )
    if expected != received or checkpoint.names != tuple(one.path for one in variables):
        raise InputError(
            "the checkpoint belongs to another network: its variables have other names, shapes or types, perhaps from "
            "another version of Keras. Remove the checkpoints of the network to train it from the start."
        )
    for variable, value in zip(variables, checkpoint.variables, strict=True):
        variable.assign(value)


def _compile(augmented: AugmentedModel, recipe: Recipe, n_steps: int) -> AdamW:
    """Compile the training program of `n_steps` steps per epoch, and return its optimizer."""
    optimizer = optimizer_of(recipe, n_steps * recipe.epochs)
    optimizer.build(augmented.trainable_variables)  # otherwise TensorFlow traces the step twice, which takes 0.7 s
    augmented.compile(
        optimizer,
        loss=loss_of(recipe.loss, recipe.label_smoothing),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.CategoricalCrossentropy(from_logits=True, name="log_loss"),
        ],
        steps_per_execution=min(_STEPS_PER_EXECUTION.get(keras.backend.backend(), 1), n_steps),
    )
    return optimizer


class _Steps(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, on_batch: Callable[[int, int], None], n_steps: int) -> None:
        super().__init__()
        self.on_batch, self.n_steps = on_batch, n_steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_batch(batch + 1, self.n_steps)
