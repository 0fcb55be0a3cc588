"""How far a training is: records of epochs, and checkpoints between two of them. Refuses to know Keras and files."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Epoch:
    """One epoch as it went: log-loss (nats) and accuracy; validation None when nothing is held out."""

    epoch: int  # from 1
    loss: float  # on the training images as the epoch met them: distorted, and before its last step
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float = field(compare=False)  # since the training began


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training between two epochs: all that the next one goes on from, in this process or another."""

    history: tuple[Epoch, ...]  # of the epochs that are done
    variables: tuple[np.ndarray, ...]  # of network, dropout's noise and optimizer, in Keras's order
    names: tuple[str, ...] = ()  # of these, by Keras

    @property
    def seconds(self) -> float:
        """How long it took until here."""
        return self.history[-1].seconds
