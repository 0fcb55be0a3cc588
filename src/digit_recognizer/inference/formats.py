"""A Keras model as the content of a file that other programs run. Comes in: a model. Goes out: bytes."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.backend import hide_native_output
from digit_recognizer.utils.environment import backend

SUFFIXES = {"keras": ".keras", "onnx": ".onnx", "litert": ".tflite"}  # of the files of each format
_TO_RUN = {"onnx": ("onnxruntime",), "litert": ("ai_edge_litert",)}  # what each imports
_TO_MAKE = {"onnx": ("onnx", "tf2onnx")}  # besides TensorFlow


def missing_packages(format: str, made: bool = False) -> str:
    """What is not there to make and run a file of this format, or only to run it when it is `made`, and the cure."""
    needed = _TO_RUN.get(format, ()) + (() if made else _TO_MAKE.get(format, ()))
    absent = [name.replace("_", "-") for name in needed if find_spec(name) is None]
    if absent:
        return f"{format} needs {', '.join(absent)}: pip install {' '.join(absent)}"
    if not made and format in _TO_RUN and backend() != "tensorflow":
        return f"{format} is made by TensorFlow alone; KERAS_BACKEND is {backend()}. Unset it."
    return ""


def require_packages(format: str, made: bool = False) -> None:
    """Raise InputError when something is `missing`."""
    if told := missing_packages(format, made):
        raise InputError(told)


def serialize(model: Any, format: str, like: np.ndarray | None = None) -> bytes:
    """The content of a file of `model`, as `whole.whole` gives it: `pixels` in, `probabilities` out.

    With `like`, (n, 28, 28) uint8, images like those to be labelled, weights and activations become bytes, by the
    ranges that these take; for "litert" only. Raises RunError when the library that makes it fails.
    """
    try:
        return _packed(model, format, like)
    except RunError:
        raise
    except Exception as error:  # whatever a library raises that does not fit the others
        told = str(error).strip().partition("\n")[0]
        cure = "" if format == "keras" else " Keras can: --engine keras, or --to keras."
        raise RunError(f"{format} cannot be made: {type(error).__name__}: {told}.{cure}") from error


def _packed(model: Any, format: str, like: np.ndarray | None) -> bytes:
    with TemporaryDirectory() as folder, hide_native_output(f"Writing {format}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, about one another
        path = Path(folder, f"model{SUFFIXES[format]}")
        if format == "keras":
            model.save(path)
        else:
            options = {} if like is None else _in_bytes(like)
            model.export(str(path), format=format, verbose=False, input_signature=model.inputs, **options)
        return _named(path) if format == "onnx" else path.read_bytes()


def _in_bytes(like: np.ndarray) -> dict[str, Any]:
    """Options of TensorFlow's converter."""
    import tensorflow as tf

    def one_by_one() -> Iterator[list[np.ndarray]]:
        for image in like:
            yield [image[np.newaxis]]

    return {"optimizations": [tf.lite.Optimize.DEFAULT], "representative_dataset": one_by_one}


def _named(path: Path) -> bytes:
    """An ONNX file with legible names of its output and of the number of images, which tf2onnx makes up."""
    import onnx

    model = onnx.load_from_string(path.read_bytes())
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["probabilities" if name == output.name else name for name in node.output]
    output.name = "probabilities"
    for value in (*model.graph.input, output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return model.SerializeToString()
