"""A Keras model as the content of a .keras or .onnx file."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.backend import hide_native_output
from digit_recognizer.utils.environment import backend

SUFFIXES = {"keras": ".keras", "onnx": ".onnx"}  # of the files of each format
_TO_RUN_ONNX = ("onnxruntime",)
_TO_MAKE_ONNX = ("onnx", "tf2onnx")  # besides TensorFlow


def missing_for_onnx(made: bool = False) -> str:
    """What is missing to make and run an ONNX file, or only to run one that is `made`, and the cure; else empty."""
    needed = _TO_RUN_ONNX if made else _TO_RUN_ONNX + _TO_MAKE_ONNX
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        return f"onnx needs {', '.join(absent)}: pip install {' '.join(absent)}"
    if not made and backend() != "tensorflow":
        return f"onnx is made by TensorFlow alone; KERAS_BACKEND is {backend()}. Unset it."
    return ""


def require_onnx(made: bool = False) -> None:
    """Raise InputError when a package is missing to make and run an ONNX file, or only to run one that is `made`."""
    if missing := missing_for_onnx(made):
        raise InputError(missing)


def serialize(model: Any, format: str) -> bytes:
    """The content of a file of `model`, which maps `pixels` to `probabilities`.

    Raises RunError when the library that makes it fails.
    """
    try:
        return _serialize(model, format)
    except RunError:
        raise
    except Exception as error:  # whatever a library raises that does not fit the others
        reason = str(error).strip().partition("\n")[0]
        cure = "" if format == "keras" else " The format and the `runtime` keras need no other package."
        raise RunError(f"{format} cannot be made: {type(error).__name__}: {reason}.{cure}") from error


def _serialize(model: Any, format: str) -> bytes:
    with TemporaryDirectory() as folder, hide_native_output(f"Writing {format}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, about one another
        path = Path(folder, f"model{SUFFIXES[format]}")
        if format == "keras":
            model.save(path)
            return path.read_bytes()
        model.export(str(path), format="onnx", verbose=False, input_signature=model.inputs)
        return _with_names(path)


def _with_names(path: Path) -> bytes:
    """The content of an ONNX file with readable names of its output and batch dimension in place of tf2onnx's."""
    import onnx

    model = onnx.load_from_string(path.read_bytes())
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["probabilities" if name == output.name else name for name in node.output]
    output.name = "probabilities"
    for value in (*model.graph.input, output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return model.SerializeToString()
