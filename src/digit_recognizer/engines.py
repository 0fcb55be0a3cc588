"""Pixels to log-probabilities, by the networks of a run. Comes in: voices. Goes out: a function."""

from collections.abc import Callable, Sequence

import numpy as np

from .images import to_images
from .models import MODELS
from .predict import average, log_probabilities
from .terminal import quietly
from .voices import Voice

Engine = Callable[[np.ndarray], np.ndarray]  # (n, 784) uint8 -> (n, 10) float32 log-probabilities


def by_keras(voices: Sequence[Voice]) -> Engine:
    """The networks as they were trained, by Keras's backend. Raises InputError when weights are another network's."""
    with quietly("Loading Keras and its backend"):
        from .train import start_backend

        start_backend()
        networks = [(voice, voice.network()) for voice in voices]

    def engine(pixels: np.ndarray) -> np.ndarray:
        log_ps = [log_probabilities(network, _images(pixels, voice), voice.recipe.tta) for voice, network in networks]
        return average(log_ps, [voice.share for voice in voices])

    return engine


def _images(pixels: np.ndarray, voice: Voice) -> np.ndarray:
    return to_images(pixels, MODELS[voice.recipe.model].side, voice.recipe.fit)
