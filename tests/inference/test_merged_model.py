"""All networks of a run as one model, which resizes, augments and averages as the networks do one by one."""

import numpy as np
import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.inference import engines
from digit_recognizer.inference.merged_model import merge_networks
from random_networks import PIXELS, random_network


@pytest.mark.parametrize(
    "settings",
    [
        [{}],
        [{"model": "lenet-28"}],
        [{"fit": "resize"}],
        [{"tta": "shift"}],
        [{"model": "lenet-28", "tta": "rotate"}],
        [
            {"weight": 0.5, "tta": "shift"},
            {"weight": 0.2, "model": "lenet-28", "tta": "shift"},
            {"weight": 0.3, "model": "lenet5-1998", "fit": "resize", "tta": "rotate"},
        ],
    ],
    ids=str,
)
def test_it_predicts_as_the_networks_do_one_by_one(settings):
    networks = [random_network(**one) for one in settings]
    model = merge_networks(networks)
    assert (model.input.name, model.input.dtype, model.input.shape) == ("pixels", "uint8", (None, 28, 28))
    expected = engines.keras_predictor(networks)(PIXELS)
    received = model.predict_on_batch(PIXELS.reshape(-1, 28, 28))
    assert np.ptp(expected, axis=0).max() > 0.001
    np.testing.assert_allclose(received, expected, atol=2e-5)
    np.testing.assert_allclose(np.sum(received, axis=1), 1, rtol=1e-5)


def test_network_weights_change_the_average():
    mostly_first, mostly_second = (
        [random_network(weight=weight), random_network("lenet-28", weight=1 - weight)] for weight in (0.9, 0.1)
    )
    images = PIXELS.reshape(-1, 28, 28)
    assert (
        np.abs(
            merge_networks(mostly_first).predict_on_batch(images)
            - merge_networks(mostly_second).predict_on_batch(images)
        ).max()
        > 0.01
    )


def test_weights_of_another_network_are_refused():
    network = random_network("lenet5")
    network.weights["c1/kernel"] = network.weights["c1/kernel"][:3]
    with pytest.raises(InputError, match="not the weights of lenet5"):
        merge_networks([network])
