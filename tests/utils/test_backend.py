"""Native output is hidden while libraries load, and shown when they fail."""

import os

import pytest

from digit_recognizer.errors import RunError
from digit_recognizer.utils import backend


def test_native_output_is_hidden_within_the_block_and_shown_after_it(capfd):
    with backend.hide_native_output("Loading"):
        os.write(2, b"noise of a native library\n")
    os.write(2, b"visible\n")
    assert capfd.readouterr().err == "visible\n"


def test_an_import_error_is_raised_with_the_native_output():
    @backend.hide_native_output("Loading")
    def load():
        os.write(2, b"hidden output\n")
        raise ImportError("no module")

    with pytest.raises(RunError, match=r"(?s)Loading failed: no module.*digits doctor.*hidden output"):
        load()
