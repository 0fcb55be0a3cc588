"""Predictors, from pixels to probabilities, of the networks of a run or of a file exported from them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from digit_recognizer.data.images import SIDE, to_images
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.evaluation.prediction import average_log_p, log_probabilities
from digit_recognizer.inference import formats
from digit_recognizer.inference.load import TrainedNetwork
from digit_recognizer.models.registry import MODELS
from digit_recognizer.utils import environment
from digit_recognizer.utils.backend import hide_native_output, start_backend

Predictor = Callable[[np.ndarray], np.ndarray]  # (n, 784) uint8 -> (n, 10) probabilities, float32 or float64
RUNTIMES = ("keras", "onnxruntime")
_WORTH_CONVERTING = 300_000_000  # bytes, a CSV of 150,000 rows: from then on conversion takes less time than it saves
_BATCH = 64  # images, whose activations fit the cache


def choose_runtime(name: str, n_bytes: int) -> str:
    """The runtime that `auto` means for an input of `n_bytes`: ONNX Runtime where it is installed and faster."""
    if name != "auto":
        return name
    if n_bytes < _WORTH_CONVERTING:
        return "keras"
    try:
        formats.require_onnx()
    except InputError:
        return "keras"
    return "onnxruntime"


def predictor_of_networks(networks: Sequence[TrainedNetwork], name: str) -> Predictor:
    """The averaged networks, computed by one of RUNTIMES.

    Raises InputError when weights do not fit the model, or a package is not installed.
    """
    if name == "keras":
        return keras_predictor(networks)
    formats.require_onnx()
    return predictor_of_content(export_networks(networks, "onnx"), "onnx")


def keras_predictor(networks: Sequence[TrainedNetwork]) -> Predictor:
    """The averaged networks, computed by Keras. Raises InputError when weights do not fit the model."""
    start_backend()
    models, recipes = [network.build() for network in networks], [network.recipe for network in networks]

    def predict(pixels: np.ndarray) -> np.ndarray:
        log_ps = [
            log_probabilities(model, to_images(pixels, MODELS[recipe.model].side, recipe.fit), recipe.tta)
            for recipe, model in zip(recipes, models, strict=True)
        ]
        return np.exp(average_log_p(log_ps, [network.weight for network in networks]).astype(np.float64))

    return predict


def export_networks(networks: Sequence[TrainedNetwork], format: str) -> bytes:
    """The content of a file with the averaged networks as one model.

    Raises InputError when weights do not fit the model, RunError when the library that makes it fails.
    """
    start_backend()
    from digit_recognizer.inference.merged_model import merge_networks

    model = merge_networks(networks, widened=format != "keras")
    return formats.serialize(model, format)


def predictor_of_file(path: Path, content: bytes) -> Predictor:
    """The network of an ONNX file that `export_run` wrote, whose `content` was read from `path`.

    Raises InputError when it is no such file, or damaged; RunError when ONNX Runtime cannot be loaded.
    """
    try:
        predict = predictor_of_content(content, "onnx")
        if (shape := predict(np.zeros((1, SIDE**2), np.uint8)).shape) != (1, 10):
            raise ValueError(f"expected ten probabilities for an image, received shape {shape}")
    except RunError:  # the library is broken, not the file
        raise
    except Exception as error:  # the classes of ONNX Runtime
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{path}: not a network by `digits export`, or damaged ({reason}). Export it again."
        ) from error
    return predict


def predictor_of_content(content: bytes, format: str) -> Predictor:
    """The network of a file. Raises what its library raises, RunError when that cannot be loaded."""
    with hide_native_output(f"Reading {format}"):
        return _by_keras_file(content) if format == "keras" else _by_onnxruntime(content)


def _by_keras_file(content: bytes) -> Predictor:
    import keras

    with TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        model = keras.saving.load_model(path)
    return lambda pixels: np.asarray(model.predict_on_batch(pixels.reshape(-1, SIDE, SIDE)))


def _by_onnxruntime(content: bytes) -> Predictor:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # batches side by side are faster than each by several threads
    options.log_severity_level = 3  # errors, which are raised as well
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    pool = ThreadPoolExecutor(environment.threads())

    def run(images: np.ndarray) -> np.ndarray:
        return session.run(None, {"pixels": images})[0]

    def predict(pixels: np.ndarray) -> np.ndarray:
        images = pixels.reshape(-1, SIDE, SIDE)
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        return np.concatenate([*pool.map(run, batches)]) if batches else np.empty((0, 10), np.float32)

    return predict
