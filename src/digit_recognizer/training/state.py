"""The state of a training between two epochs, and the hooks that a training calls."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from digit_recognizer.tracking.history import Epoch


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state from which the next epoch continues, in this process or another."""

    history: tuple[Epoch, ...]  # of the finished epochs
    variables: tuple[np.ndarray, ...]  # of network, dropout's random state and optimizer, in Keras's order
    names: tuple[str, ...] = ()  # Keras's paths of the variables

    @property
    def seconds(self) -> float:
        """The training time so far."""
        return self.history[-1].seconds


@dataclass(frozen=True)
class FitHooks:
    """Functions that `fit` calls; their exceptions end the training."""

    on_batch: Callable[[int, int], None] = lambda step, n_steps: None  # finished steps of an epoch, and its steps
    on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None  # after each epoch
    on_epoch: Callable[[Epoch], None] = lambda epoch: None  # after `on_checkpoint`


NO_HOOKS = FitHooks()
