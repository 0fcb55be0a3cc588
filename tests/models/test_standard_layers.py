"""Trained networks convert to Keras's own layers: the same function without this package's code."""

import keras
import numpy as np
import pytest

from digit_recognizer.evaluation.prediction import average_log_p
from digit_recognizer.inference.formats import serialize
from digit_recognizer.models.registry import MODELS
from digit_recognizer.models.standard_layers import to_standard_layers
from random_networks import RNG, random_network


@pytest.mark.parametrize("widened", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_each_model_predicts_the_same_with_standard_layers(name, widened):
    network = random_network(name).build()
    images = RNG.random((20, MODELS[name].side, MODELS[name].side, 1), np.float32)
    same = to_standard_layers(network, widened)
    assert all(type(layer).__module__.startswith("keras.") for layer in same.layers)
    expected, received = (average_log_p([np.asarray(one.predict_on_batch(images))]) for one in (network, same))
    assert np.ptp(expected, axis=0).max() > 0.01  # predictions differ between images
    np.testing.assert_allclose(np.exp(received), np.exp(expected), atol=2e-5)


def test_a_widened_lenet5_computes_c1_and_s2_with_stride_2():
    widened = to_standard_layers(random_network().build(), widened=True)
    shapes = {layer.name: layer.output.shape[1:] for layer in widened.layers}
    assert [shapes[name] for name in ("c1", "s2", "c3")] == [(14, 14, 24), (14, 14, 6), (10, 10, 16)]


def test_standard_layers_are_saved_and_loaded_without_this_package(tmp_path):
    same = to_standard_layers(random_network("lenet5-1998").build())
    (tmp_path / "model.keras").write_bytes(serialize(same, "keras"))
    images = RNG.random((3, 32, 32, 1), np.float32)
    read = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(read.predict_on_batch(images), same.predict_on_batch(images))
