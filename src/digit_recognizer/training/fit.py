"""fit(recipe, images, labels) -> Trained. Refuses to know where images come from and where weights go.

Order and distortions follow from the recipe's seed and the number of the epoch, first weights from the seed;
dropout's noise runs on from epoch to epoch, and its state belongs to a checkpoint as the weights do.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from digit_recognizer.data.augmentation import Augmentation, draw_coefficients
from digit_recognizer.errors import DivergedError, InputError
from digit_recognizer.evaluation.prediction import Metrics, evaluate, log_probabilities
from digit_recognizer.models import batch_norm
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.training.augmented_model import AugmentedModel
from digit_recognizer.training.state import Checkpoint, Epoch

# Batches until Python hears of them, on TensorFlow in one compiled program: 1 is a third slower for LeNet-5 there.
# Keras compiles a single step on JAX, and allows PyTorch 1 only.
_STEPS_PER_EXECUTION = {"tensorflow": 16, "jax": 16}
_MEASURED, _AT_ONCE = 8_000, 1_000  # images for the final statistics of batch normalisation
_RUBBISH = 1.0  # j of equation (9): "a positive constant"; its value is not in the paper


@dataclass(frozen=True)
class Trained:
    """A trained network, normalisations folded away, and how it got there."""

    model: Any
    history: tuple[Epoch, ...]  # of all epochs, with those before a checkpoint


def fit(
    recipe: Recipe,
    images: np.ndarray,
    labels: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    on_batch: Callable[[int, int], None] = lambda step, n_steps: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    teachers: Sequence[Any] = (),
    begun: Checkpoint | None = None,
    keep: Callable[[Checkpoint], None] = lambda checkpoint: None,
) -> Trained:
    """Train `recipe` on (n, side, side, 1) float32 images in [0, 1] and (n,) labels 0..9.

    While training, pixels are rounded to 256 levels. `validation` holds (images, labels) to evaluate after each epoch,
    never trained on. What the `teachers`, networks of any side whose weights stay as they are, say is learned too.
    `on_batch` hears of the steps done in an epoch, `on_epoch` of each finished one. `keep` gets a checkpoint after each
    epoch; from one of the same training, given as `begun`, it goes on, to the same bits on the same machine. Raises
    Diverged when the loss or a weight is no longer a number, InputError when the checkpoint is not of such a network.
    """
    history = list(begun.history) if begun else []
    start = time.perf_counter() - (begun.seconds if begun else 0)
    keras.backend.clear_session()  # what the network before left in memory
    keras.utils.set_random_seed(recipe.seed)
    plain = MODELS[recipe.model].build(dropout=recipe.dropout)
    model = batch_norm.insert(plain) if recipe.batch_norm else plain
    n_steps = -(-len(images) // recipe.batch_size)
    batch_size = len(images) // n_steps  # equal ones; fewer images than steps are left over, others in each epoch
    presented = AugmentedModel(model, images, teachers, recipe.teacher_weight)
    optimizer = _compile(presented, recipe, n_steps)
    variables = [*model.variables, *optimizer.variables]
    if begun:
        _restore(variables, begun)
    one_hot = np.eye(10, dtype=np.float32)[labels]

    def order_of(epoch: int) -> np.ndarray:
        return np.random.default_rng((recipe.seed, epoch)).permutation(len(images))[: n_steps * batch_size]

    for epoch in range(len(history) + 1, recipe.epochs + 1):
        order = order_of(epoch)
        distortion = recipe.distortion if epoch <= recipe.epochs - recipe.clean else Augmentation()
        distortions = draw_coefficients(distortion, len(order), recipe.seed, epoch)
        logs = presented.fit(
            **_fed({"rows": order.astype(np.int32), "distortions": distortions}, one_hot[order], batch_size),
            shuffle=False,
            verbose=0,
            callbacks=[_Steps(on_batch, n_steps)],
        ).history
        held_out = evaluate(log_probabilities(model, validation[0]), validation[1]) if validation else None
        record = _record(epoch, logs, held_out, time.perf_counter() - start)
        values = tuple(np.asarray(one).copy() for one in variables)
        if not all(np.isfinite(part).all() for part in (logs["loss"], record.validation_loss or 0, *values)):
            raise DivergedError(
                f"Training diverged in epoch {epoch}: the loss or a weight is not a number. No submission was written; "
                f"try a lower learning rate, such as --set learning_rate={recipe.learning_rate / 3:.1g}."
            )
        history.append(record)
        keep(Checkpoint(tuple(history), values, tuple(one.path for one in variables)))
        on_epoch(record)
    if recipe.ema:
        optimizer.keep_average(presented.trainable_variables)
    if recipe.batch_norm:
        measured = images[order_of(recipe.epochs)[:_MEASURED]]
        batch_norm.measure(model, np.array_split(measured, -(-len(measured) // _AT_ONCE)))
        batch_norm.fold(model, plain)
    return Trained(plain, tuple(history))


def _fed(inputs: dict[str, np.ndarray], labels: np.ndarray, batch_size: int) -> dict[str, Any]:
    """How `fit` is given an epoch of whole batches, in their order.

    On TensorFlow ready cut: from plain arrays Keras makes a pipeline of tf.data, whose tuning thread sleeps ever longer
    and is waited for when the epoch ends.
    """
    if keras.backend.backend() != "tensorflow":
        return {"x": inputs, "y": labels, "batch_size": batch_size}
    import tensorflow as tf

    batches = keras.tree.map_structure(lambda array: array.reshape(-1, batch_size, *array.shape[1:]), (inputs, labels))
    options = tf.data.Options()
    options.autotune.enabled = False
    return {"x": tf.data.Dataset.from_tensor_slices(batches).with_options(options)}


def _record(epoch: int, logs: dict[str, list[float]], held_out: Metrics | None, seconds: float) -> Epoch:
    """An epoch by the history of its `fit`, its fitness to held-out rows, and the seconds since the training began."""
    return Epoch(
        epoch,
        float(logs["log_loss"][0]),
        float(logs["accuracy"][0]),
        held_out.loss if held_out else None,
        held_out.accuracy if held_out else None,
        round(seconds, 3),
    )


def _restore(variables: Sequence[Any], begun: Checkpoint) -> None:
    expected, received = ([(tuple(one.shape), str(one.dtype)) for one in some] for some in (variables, begun.variables))
    if expected != received or begun.names != tuple(one.path for one in variables):
        raise InputError(
            "the checkpoint is not of this network: its variables have other names, shapes or types, as another "
            "version of Keras may give them. Remove the checkpoints of the network to train it from the start."
        )
    for variable, value in zip(variables, begun.variables, strict=True):
        variable.assign(value)


def _compile(presented: AugmentedModel, recipe: Recipe, n_steps: int) -> "_AdamW":
    """Make the training program of `n_steps` an epoch, and return its optimizer."""
    optimizer = _AdamW(
        _schedule(recipe, n_steps * recipe.epochs),
        weight_decay=recipe.weight_decay,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema,
        name="adamw",  # by default the class's, with an underscore first, which TensorFlow refuses
    )
    optimizer.build(presented.trainable_variables)  # or else TensorFlow traces the step twice, for 0.7 s
    presented.compile(
        optimizer,
        loss=_map_loss if recipe.loss == "map" else _smoothed_loss(recipe.label_smoothing),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.CategoricalCrossentropy(from_logits=True, name="log_loss"),
        ],
        steps_per_execution=min(_STEPS_PER_EXECUTION.get(keras.backend.backend(), 1), n_steps),
    )
    return optimizer


class _AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """Keras's `fit` ends by putting the average in the place of the weights, from which the next epoch would go on."""

    def finalize_variable_values(self, variables: Any) -> None:
        pass

    def keep_average(self, variables: Any) -> None:
        super().finalize_variable_values(variables)


class _Triangle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Up linearly to `peak` over the first `up` steps, down linearly to 0 at step `n_steps`."""

    def __init__(self, peak: float, up: float, n_steps: int) -> None:
        self.peak, self.up, self.n_steps = peak, up, n_steps

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        return self.peak * ops.minimum((step + 1) / (self.up + 1), (self.n_steps - step) / (self.n_steps - self.up))

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "up": self.up, "n_steps": self.n_steps}


class _Steps(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, tell: Callable[[int, int], None], n_steps: int) -> None:
        super().__init__()
        self.tell, self.n_steps = tell, n_steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tell(batch + 1, self.n_steps)


def _schedule(recipe: Recipe, n_steps: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return _Triangle(recipe.learning_rate, recipe.warm_up * n_steps, n_steps)


def _smoothed_loss(label_smoothing: float) -> Any:
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)


def _map_loss(one_hot: Any, logits: Any) -> Any:
    """Equation (9): y_D + log(e^-j + sum_i e^-y_i), y_i = -logits: a cross-entropy with an eleventh, rubbish class.

    It pulls the right distance down and pushes the wrong ones up, up to j away.
    """
    rubbish = ops.full_like(logits[:, :1], -_RUBBISH)
    with_rubbish = ops.concatenate([logits, rubbish], axis=1)
    targets = ops.concatenate([one_hot, ops.zeros_like(one_hot[:, :1])], axis=1)
    return keras.losses.categorical_crossentropy(targets, with_rubbish, from_logits=True)
