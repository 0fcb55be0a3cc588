"""Runtimes and exported files predict the same probabilities."""

import sys

import keras
import numpy as np
import pytest

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.inference import engines, formats
from random_networks import PIXELS, random_network

NETWORKS = [random_network(weight=0.6, tta="shift"), random_network("lenet-28", weight=0.4)]


@pytest.fixture(scope="module")
def contents():
    return {format: engines.export_networks(NETWORKS, format) for format in formats.SUFFIXES}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "n"),
    [("keras", 130), *(("onnx", n) for n in (0, 1, 64, 130))],
)
def test_each_format_gives_the_probabilities_of_any_number_of_images(contents, format, n):
    received = engines.predictor_of_content(contents[format], format)(PIXELS[:n])
    assert received.shape == (n, 10)
    np.testing.assert_allclose(received, engines.keras_predictor(NETWORKS)(PIXELS)[:n], atol=1e-6)


@pytest.mark.parametrize("runtime", engines.RUNTIMES)
def test_each_runtime_predicts_with_the_networks_of_a_run(runtime):
    networks = [random_network()]
    np.testing.assert_allclose(
        engines.predictor_of_networks(networks, runtime)(PIXELS), engines.keras_predictor(networks)(PIXELS), atol=1e-6
    )


def test_auto_is_onnx_runtime_for_large_inputs_where_it_is_installed(monkeypatch):
    assert engines.choose_runtime("auto", 1_000) == "keras"
    assert engines.choose_runtime("auto", 10**9) == "onnxruntime"
    assert engines.choose_runtime("onnxruntime", 1_000) == "onnxruntime"
    monkeypatch.setattr(formats, "_TO_MAKE_ONNX", ("nosuch-package",))
    assert engines.choose_runtime("auto", 10**9) == "keras"
    with pytest.raises(InputError, match="onnx needs nosuch-package: pip install nosuch-package"):
        engines.predictor_of_networks(NETWORKS, "onnxruntime")


def test_other_backends_predict_with_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert engines.choose_runtime("auto", 10**9) == "keras"
    with pytest.raises(InputError, match="onnx export needs the TensorFlow backend; KERAS_BACKEND is jax"):
        formats.require_onnx()
    formats.require_onnx(made=True)


def test_an_onnx_file_names_its_input_and_output(contents):
    import onnx

    graph = onnx.load_from_string(contents["onnx"]).graph
    (pixels,), (output,) = graph.input, graph.output
    shapes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in (pixels, output)
    ]
    assert (pixels.name, output.name) == ("pixels", "probabilities")
    assert shapes == [["n", 28, 28], ["n", 10]]


def test_a_file_predicts_as_its_networks(contents, tmp_path):
    found = engines.predictor_of_file(tmp_path / "a.onnx", contents["onnx"])(PIXELS)
    np.testing.assert_allclose(found, engines.keras_predictor(NETWORKS)(PIXELS), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no network", 5_000])
def test_damaged_files_are_refused(contents, tmp_path, content):
    damaged = contents["onnx"][:content] if isinstance(content, int) else content
    with pytest.raises(InputError, match=r"a.onnx: not a network by `digits export`, or damaged"):
        engines.predictor_of_file(tmp_path / "a.onnx", damaged)


def test_an_onnx_file_with_other_outputs_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Input((28, 28), dtype="uint8", name="pixels"), keras.layers.Flatten()])
    content = formats.serialize(keras.Model(model.inputs, model.outputs), "onnx")
    with pytest.raises(InputError, match=r"ten probabilities for an image, received shape \(1, 784\)"):
        engines.predictor_of_file(tmp_path / "a.onnx", content)


def test_a_broken_library_is_not_reported_as_a_damaged_file(contents, tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('its library is gone')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    with pytest.raises(RunError, match="Reading onnx failed: its library is gone"):
        engines.predictor_of_file(tmp_path / "a.onnx", contents["onnx"])


def test_a_converter_error_suggests_keras(monkeypatch):
    def export(*_, **__):
        raise ValueError("no such operation\nand more")

    monkeypatch.setattr(keras.Model, "export", export)
    with pytest.raises(RunError, match=r"onnx export failed: ValueError: no such operation. .*`runtime` keras"):
        engines.predictor_of_networks([random_network()], "onnxruntime")
