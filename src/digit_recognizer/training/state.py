"""A training between two epochs, and the hooks that are called at its batches and epochs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from digit_recognizer.tracking.history import Epoch


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that the next epoch goes on from, in this process or another."""

    history: tuple[Epoch, ...]  # of the epochs that are done
    variables: tuple[np.ndarray, ...]  # of network, dropout's random state and optimizer, in Keras's order
    names: tuple[str, ...] = ()  # of these, by Keras

    @property
    def seconds(self) -> float:
        """The training time until here."""
        return self.history[-1].seconds


@dataclass(frozen=True)
class FitHooks:
    """Functions that `fit` calls; what they raise ends the training."""

    on_batch: Callable[[int, int], None] = lambda step, n_steps: None  # the steps done in an epoch, and of how many
    on_checkpoint: Callable[[Checkpoint], None] = lambda checkpoint: None  # after each epoch
    on_epoch: Callable[[Epoch], None] = lambda epoch: None  # then


NO_HOOKS = FitHooks()
