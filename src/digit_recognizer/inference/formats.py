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


def require_onnx(made: bool = False) -> None:
    """Raise InputError when a package is missing to make and run an ONNX file, or only to run one that is `made`."""
    needed = _TO_RUN_ONNX if made else _TO_RUN_ONNX + _TO_MAKE_ONNX
    if absent := [name for name in needed if find_spec(name) is None]:
        raise InputError(f"onnx needs {', '.join(absent)}: pip install {' '.join(absent)}")
    if not made and backend() != "tensorflow":
        raise InputError(f"onnx export needs the TensorFlow backend; KERAS_BACKEND is {backend()}. Unset it.")


def serialize(model: Any, format: str) -> bytes:
    """The content of a file of `model`, which maps `pixels` to `probabilities`.

    Raises RunError when the conversion to ONNX fails.
    """
    with TemporaryDirectory() as folder, hide_native_output(f"Writing {format}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, about one another
        path = Path(folder, f"model{SUFFIXES[format]}")
        if format == "keras":
            model.save(path)
            return path.read_bytes()
        try:
            model.export(str(path), format="onnx", verbose=False, input_signature=model.inputs)
        except Exception as error:  # of any class, as when versions of TensorFlow and tf2onnx do not match
            reason = str(error).strip().partition("\n")[0]
            raise RunError(
                f"onnx export failed: {type(error).__name__}: {reason}. Use the format and the `runtime` keras instead."
            ) from error
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
