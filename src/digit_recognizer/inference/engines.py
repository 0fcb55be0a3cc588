"""Pixels to probabilities, by the networks of a run or by a file made of them. Comes in: voices, or a file's content.

Goes out: a function. Three libraries can compute it; Keras does it as in the training.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

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
FORMATS = {"onnxruntime": "onnx", "litert": "litert"}  # what the engines besides Keras run
_WORTH_CONVERTING = 300_000_000  # bytes, a CSV of 150,000 rows: what is won makes up for some seconds of conversion
_AT_ONCE = 64  # images: what a network makes of them fits the cache, and what is done once for all weighs little


def choose_runtime(name: str, n_bytes: int) -> str:
    """The engine that `auto` means for an input of so many bytes: ONNX Runtime where it can be had and is worth it."""
    if name != "auto":
        return name
    return "keras" if n_bytes < _WORTH_CONVERTING or formats.missing_packages("onnx") else "onnxruntime"


def predictor_of_networks(voices: Sequence[TrainedNetwork], name: str) -> Predictor:
    """The networks by the engine of that name.

    Raises InputError when weights are another network's, or what the engine needs is not installed.
    """
    if name == "keras":
        return keras_predictor(voices)
    formats.require_packages(FORMATS[name])
    return predictor_of_content(export_networks(voices, FORMATS[name]), FORMATS[name])


def keras_predictor(voices: Sequence[TrainedNetwork]) -> Predictor:
    """The networks as they were trained, one after another. Raises InputError when weights are another network's."""
    start_backend()
    networks = [(voice, voice.network()) for voice in voices]

    def engine(pixels: np.ndarray) -> np.ndarray:
        log_ps = [log_probabilities(network, _images(pixels, voice), voice.recipe.tta) for voice, network in networks]
        return np.exp(average_log_p(log_ps, [voice.weight for voice in voices]).astype(np.float64))

    return engine


def export_networks(voices: Sequence[TrainedNetwork], format: str, like: np.ndarray | None = None) -> bytes:
    """The file that holds the networks as one, by `formats.packed`, whose arguments and errors these are.

    Raises InputError when weights are another network's.
    """
    start_backend()
    from digit_recognizer.inference.merged_model import merge_networks

    model = merge_networks(voices, widened=format != "keras")
    return formats.serialize(model, format, like)


def runtime_of(path: Path) -> str:
    """Which engine runs a file. Raises InputError when none does, or it is not installed."""
    for engine, format in FORMATS.items():
        if formats.SUFFIXES[format] == path.suffix:
            formats.require_packages(format, made=True)
            return engine
    raise InputError(f"{path}: no such file is read, as it may hold code. Name the run, or export it with --to onnx.")


def predictor_of_file(path: Path, content: bytes) -> Predictor:
    """What a file by `digits export` computes, whose `content` was read from `path`.

    Raises InputError when it is none, or damaged; RunError when the library that runs it cannot be loaded.
    """
    format = FORMATS[runtime_of(path)]
    try:
        engine = predictor_of_content(content, format)
        shape = engine(np.zeros((1, SIDE**2), np.uint8)).shape
    except RunError:  # the library is broken, not the file
        raise
    except Exception as error:  # each library has its own, and little in common
        told = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: not a network by `digits export`, or damaged ({told}). Export it again.") from error
    if shape != (1, 10):
        raise InputError(
            f"{path}: expected a network with ten probabilities for an image, received shape {shape}. Export it again."
        )
    return engine


def predictor_of_content(content: bytes, format: str) -> Predictor:
    """What a file in that format computes. What its library raises is raised; RunError when that cannot be loaded."""
    with hide_native_output(f"Reading {format}"):
        return {"keras": _by_keras_file, "onnx": _by_onnxruntime, "litert": _by_litert}[format](content)


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
    return _side_by_side(lambda images: session.run(None, {"pixels": images})[0])


def _by_litert(content: bytes) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    idle: SimpleQueue[Any] = SimpleQueue()  # each is for one thread at a time
    for _ in range(environment.threads()):
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [_AT_ONCE, SIDE, SIDE])
        interpreter.allocate_tensors()
        idle.put(interpreter)
    given, gives = (
        details()[0]["index"] for details in (interpreter.get_input_details, interpreter.get_output_details)
    )

    def run(images: np.ndarray) -> np.ndarray:
        n = len(images)
        interpreter = idle.get()
        try:
            whole = images if n == _AT_ONCE else np.pad(images, ((0, _AT_ONCE - n), (0, 0), (0, 0)))
            interpreter.set_tensor(given, whole)
            interpreter.invoke()
            return interpreter.get_tensor(gives)[:n]
        finally:
            idle.put(interpreter)

    return _side_by_side(run)


def _side_by_side(run: Callable[[np.ndarray], np.ndarray]) -> Predictor:
    """`run`, from (n, 28, 28) to (n, 10), for _AT_ONCE images at most, on as many threads as there are CPUs."""
    pool = ThreadPoolExecutor(environment.threads())

    def engine(pixels: np.ndarray) -> np.ndarray:
        images = pixels.reshape(-1, SIDE, SIDE)
        batches = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
        return np.concatenate([*pool.map(run, batches)]) if batches else np.empty((0, 10), np.float32)

    return engine


def _images(pixels: np.ndarray, voice: TrainedNetwork) -> np.ndarray:
    return to_images(pixels, MODELS[voice.recipe.model].side, voice.recipe.fit)
