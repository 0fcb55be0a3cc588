"""The models have the weights, shapes and names of the papers and of MODELS; folding is exact."""

import keras
import numpy as np
import pytest

from digit_recognizer.models import batch_norm
from digit_recognizer.models.lenet5_1998_layers import C3_INPUTS, SparseConvolution, bitmaps, squash
from digit_recognizer.models.registry import MODELS
from digit_recognizer.models.summary import layer_table

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", MODELS)
def test_a_built_network_has_the_weights_and_multiply_adds_of_its_row(name):
    facts = MODELS[name]
    network = facts.build()
    layers = layer_table(network)
    assert network.count_params() == facts.weights
    assert sum(layer.multiply_adds for layer in layers) == facts.multiply_adds
    assert network.input_shape == (None, facts.side, facts.side, 1)
    assert network.output_shape == (None, 10)


@pytest.mark.parametrize("name", MODELS)
def test_relu_is_true_for_models_with_relus(name):
    layers = MODELS[name].build(dropout=0.0).layers
    assert any(layer.get_config().get("activation") == "relu" for layer in layers) == MODELS[name].relu


@pytest.mark.parametrize("name", MODELS)
def test_the_dropout_layer_exists_only_with_a_rate(name):
    kinds = [[type(layer).__name__ for layer in MODELS[name].build(dropout=rate).layers] for rate in (0.0, 0.5)]
    assert ["Dropout" in kind for kind in kinds] == [False, True]


def test_lenet5_1998_has_the_papers_parameters_layer_by_layer():
    weights = {layer.name: layer.weights for layer in layer_table(MODELS["lenet5-1998"].build())}
    assert {name: weights[name] for name in ("c1", "s2", "c3", "s4", "c5", "f6")} == {
        "c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164,
    }  # fmt: skip


def test_deep_cnn_has_the_shapes_of_its_comments():
    network = MODELS["deep-cnn"].build()
    shapes = {layer.name: layer.shape for layer in layer_table(network)}
    names = ("conv1", "conv2", "pool1", "conv3", "conv4", "pool2")
    assert [shapes[name][0] for name in names] == [26, 24, 12, 10, 10, 5]
    assert shapes["flatten"] == (800,)
    assert sum(int(np.prod(w.shape)) for w in network.non_trainable_weights) == 128


def test_table_1_has_different_inputs_for_each_c3_map_and_60_kernels():
    assert [len(inputs) for inputs in C3_INPUTS] == [3] * 6 + [4] * 9 + [6]
    assert len(set(C3_INPUTS)) == 16
    assert sum(map(len, C3_INPUTS)) == 60
    assert np.bincount(np.concatenate(C3_INPUTS)).tolist() == [10] * 6


def test_c3_map_ignores_the_s2_maps_it_is_not_connected_to():
    layer = SparseConvolution()
    maps = RNG.normal(size=(1, 14, 14, 6)).astype("float32")
    before = np.asarray(layer(maps))
    maps[..., 5] += 1
    changed = np.abs(np.asarray(layer(maps)) - before).max(axis=(0, 1, 2)) > 1e-6
    assert changed.tolist() == [5 in inputs for inputs in C3_INPUTS]


def test_squash_keeps_plus_and_minus_one():
    np.testing.assert_allclose(np.asarray(squash(np.array([-1.0, 0.0, 1.0]))), [-1, 0, 1], atol=1e-4)


def test_the_output_is_zero_where_f6_is_the_bitmap_of_the_digit():
    drawn = bitmaps()
    assert drawn.shape == (10, 84)
    assert set(np.unique(drawn)) == {-1, 1}
    logits = np.asarray(MODELS["lenet5-1998"].build().get_layer("output")(drawn))
    assert (logits.diagonal() == 0).all()
    assert (logits.argmax(axis=1) == np.arange(10)).all()


def test_the_1998_network_scales_its_input_to_minus_0_1_to_1_175():
    layer = MODELS["lenet5-1998"].build().get_layer("input")
    np.testing.assert_allclose(np.asarray(layer(np.array([0.0, 1.0]))), [-0.1, 1.175], rtol=1e-6)


@pytest.mark.parametrize("shape", [(32, 7), (32, 5, 4, 3)])
def test_batch_norm_equals_keras_in_training_and_prediction(shape):
    x = RNG.normal(1, 2, shape).astype("float32")
    ours, theirs = batch_norm.BatchNorm(), keras.layers.BatchNormalization(momentum=0.9)
    for training in (True, False):
        np.testing.assert_allclose(ours(x, training=training), theirs(x, training=training), rtol=1e-4, atol=1e-4)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


def test_final_statistics_are_measured_without_dropout():
    normalised = batch_norm.insert(MODELS["strided-cnn"].build(dropout=0.5))
    quiet = batch_norm.insert(MODELS["strided-cnn"].build(dropout=0.0))
    for layer in quiet.layers:
        layer.set_weights(normalised.get_layer(layer.name).get_weights())
    images = RNG.random((8, 28, 28, 1), dtype=np.float32)
    batch_norm.measure(normalised, [images])
    batch_norm.measure(quiet, [images])
    for layer in quiet.layers:
        for own, other in zip(layer.get_weights(), normalised.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lenet5", "deep-cnn"])
def test_a_folded_network_has_the_plain_layers_and_predicts_the_same(name):
    plain = MODELS[name].build()
    normalised = batch_norm.insert(plain)
    for layer in normalised.layers:
        if isinstance(layer, (batch_norm.BatchNorm, keras.layers.BatchNormalization)):
            layer.set_weights([RNG.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    images = RNG.random((16, MODELS[name].side, MODELS[name].side, 1), dtype=np.float32)
    expected = np.asarray(normalised(images, training=False))
    batch_norm.fold(normalised, plain)
    assert plain.count_params() == MODELS[name].weights
    np.testing.assert_allclose(np.asarray(plain(images, training=False)), expected, rtol=1e-3, atol=1e-4)
