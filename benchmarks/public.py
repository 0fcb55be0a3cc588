"""The public trainings to which the recipes are compared, reimplemented from published descriptions."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

Images = np.ndarray


@dataclass(frozen=True)
class Peer:
    """A public training: its source, network, optimizer and schedule."""

    source: str
    epochs: int
    batch_size: int
    build: Callable[[], Any] | None = None  # a Keras model; None for PyTorch's example
    optimizer: Callable[[int], Any] | None = None  # takes the total number of steps; default: Adam 1e-3
    rate: Callable[[int], float] | None = None  # takes the epoch, from 0
    shown: Callable[[Images, int, int], Images] | None = None  # takes images, seed and epoch; returns augmented images
    side: int = 28
    published: str = ""  # accuracy on MNIST's 10,000 test images after training on its 60,000
    seeds: int = 5  # number of seeds to measure, or fewer with --seeds


def tutorial_lenet5() -> Any:
    """Maps images (n, side, side, 1), float32 in [0, 1], to logits (n, 10), as all builders here."""
    from digit_recognizer.models.registry import MODELS

    return MODELS["lenet5"].build()


def keras_convnet() -> Any:
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def one_epoch_net() -> Any:
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Normalization(mean=0.1307, variance=0.3081**2),
            layers.Conv2D(24, 5),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Conv2D(32, 3),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10),
        ]
    )


def one_cycle(n_steps: int) -> Any:
    """Adam with PyTorch's one-cycle defaults: cosines from 1e-2 / 25 to 1e-2 in 30 % of the steps, then to almost 0."""
    from keras import ops, optimizers

    class OneCycle(optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            up = 0.3 * n_steps
            step = ops.cast(step, "float32")
            rising = 0.04 + 0.96 * (1 - ops.cos(pi * step / up)) / 2
            falling = 4e-6 + (1 + ops.cos(pi * (step - up) / (n_steps - up))) / 2
            return 1e-2 * ops.where(step < up, rising, falling)

    return optimizers.Adam(OneCycle(), beta_1=0.7, beta_2=0.9)


def kernel_member() -> Any:
    from keras import Sequential, layers

    def block(filters: int) -> list[Any]:
        convolutions = [(3, 1, "valid"), (3, 1, "valid"), (5, 2, "same")]
        made = [layers.Conv2D(filters, k, s, padding=p, activation="relu") for k, s, p in convolutions]
        return [layer for conv in made for layer in (conv, layers.BatchNormalization())]

    return Sequential(
        [
            layers.Input((28, 28, 1)),
            *block(32),
            layers.Dropout(0.4),
            *block(64),
            layers.Dropout(0.4),
            layers.Conv2D(128, 4, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10),
        ]
    )


def augmented(images: Images, seed: int, epoch: int) -> Images:
    """Rotates each image by up to 10 degrees, zooms and shifts it by up to 0.1.

    Images are (n, 28, 28, 1), float32 in [0, 1]. Uses the package's gather, which is faster than the
    functions that notebooks call.
    """
    from digit_recognizer.data.augmentation import Augmentation, draw_coefficients
    from digit_recognizer.training.augmented_model import pack_pixels, sample_augmented

    coefficients = draw_coefficients(Augmentation(rotate=10, zoom=0.1, shift=3), len(images), seed, epoch)
    parts = np.array_split(np.arange(len(images), dtype=np.int32), 40)
    return np.concatenate(
        [
            np.asarray(sample_augmented(pack_pixels(images[p]), np.arange(len(p), dtype=np.int32), coefficients[p]))
            for p in parts
        ]
    )


PEERS = {
    "tutorial LeNet-5": Peer("common tutorials: average pooling, ReLU, Adam 1e-3", 10, 128, tutorial_lenet5, side=32),
    "Keras convnet": Peer("Keras's example, Simple MNIST convnet", 15, 128, keras_convnet),
    "one-epoch net, 1 epoch": Peer(
        "tuomaso/train_mnist_fast, a PyTorch program, ported to Keras: one-cycle Adam",
        1,
        256,
        one_epoch_net,
        one_cycle,
        published="0.9904",
    ),
    "one-epoch net, 2 epochs": Peer("the same with 2 epochs", 2, 256, one_epoch_net, one_cycle, published="0.99245"),
    "PyTorch example": Peer(
        "PyTorch's example: Adadelta, learning rate 0.7^epoch", 14, 64, seeds=2, published="0.99185"
    ),
    "15-network kernel, a member": Peer(
        "Chris Deotte, 25 Million Images, on Kaggle: 0.99757 with 15; the best public kernel without leaked labels",
        45,
        64,
        kernel_member,
        rate=lambda epoch: 1e-3 * 0.95**epoch,
        shown=augmented,
        seeds=1,
        published="0.99641",
    ),
}
