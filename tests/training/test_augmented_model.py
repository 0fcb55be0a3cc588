"""Images on the device are gathered unchanged, and augmented as by SciPy."""

import keras
import numpy as np
import pytest
from keras import ops

from digit_recognizer.data.augmentation import Augmentation, apply_augmentation, draw_coefficients
from digit_recognizer.training.augmented_model import AugmentedModel, pack_pixels, sample_augmented

RNG = np.random.default_rng(0)
IMAGES = (RNG.integers(0, 256, (60, 9, 9, 1)) / 255).astype(np.float32)


def augmented(coefficients, rows):
    return np.asarray(
        sample_augmented(ops.convert_to_tensor(pack_pixels(IMAGES)), ops.convert_to_tensor(rows), coefficients)
    )


def test_without_augmentation_images_are_unchanged_and_in_the_order_of_the_rows():
    rows = RNG.permutation(60).astype(np.int32)[:20]
    np.testing.assert_array_equal(augmented(draw_coefficients(Augmentation(), 20, 1, 1), rows), IMAGES[rows])


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(shift=3),
        Augmentation(rotate=15, zoom=0.2, shear=0.2, shift=2),
        Augmentation(elastic=1.0, rotate=45),
    ],
)
def test_an_augmentation_equals_scipys_up_to_rounding(augmentation):
    rows = np.arange(60, dtype=np.int32)
    coefficients = draw_coefficients(augmentation, 60, 3, 1)
    np.testing.assert_allclose(augmented(coefficients, rows), apply_augmentation(IMAGES, coefficients), atol=2e-5)


def test_the_input_of_the_network_is_augmented():
    network = keras.Sequential([keras.layers.Input((9, 9, 1)), keras.layers.Flatten()])
    coefficients, rows = draw_coefficients(Augmentation(rotate=20), 8, 3, 1), np.arange(8, dtype=np.int32)
    received = AugmentedModel(network, IMAGES).predict_on_batch({"rows": rows, "coefficients": coefficients})
    np.testing.assert_allclose(received.reshape(8, 9, 9, 1), apply_augmentation(IMAGES[:8], coefficients), atol=2e-5)


def test_the_training_program_compiles_with_xla_and_has_no_int32_variables():
    network = keras.Sequential([keras.layers.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    labels = np.eye(10, dtype=np.float32)[np.arange(60) % 10]
    inputs = {
        "rows": np.arange(60, dtype=np.int32),
        "coefficients": draw_coefficients(Augmentation(rotate=9, elastic=0.5), 60, 0, 1),
    }
    losses = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        augmented = AugmentedModel(keras.models.clone_model(network), IMAGES)
        augmented.compile("adam", "mse", jit_compile=jit_compile, steps_per_execution=2)
        losses += augmented.fit(inputs, labels, batch_size=20, shuffle=False, verbose=0).history["loss"]
        # TensorFlow does not place int32 variables on a GPU.
        assert "int32" not in {variable.dtype for variable in (*augmented.variables, *augmented.optimizer.variables)}
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
