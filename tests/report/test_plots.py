"""Plots are PNGs, also when some of their data are missing."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest

from digit_recognizer.report import plots
from digit_recognizer.tracking.workspace import Workspace
from seen_from_outside import ENVIRONMENT, digits, started

RNG = np.random.default_rng(0)
IMAGES = RNG.random((50, 28, 28, 1), dtype=np.float32)


@dataclass(frozen=True)
class Record:
    epoch: int
    loss: float = 0.5
    accuracy: float = 0.9
    validation_loss: float | None = 0.6
    validation_accuracy: float | None = 0.8


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_digits_are_drawn_below_their_captions():
    digits = np.zeros((2, 3, 5, 5))
    digits[1, 2, 0, 0] = 1  # the first pixel of the last digit
    sheet, places = plots.side_by_side(digits, gap=4)
    assert sheet.shape == (2 * 9, 3 * 9)
    assert np.argwhere(sheet).tolist() == [[9 + 4, 2 * 9 + 2]]
    assert places[0] == (4.5, 3)
    assert places[-1] == (2 * 9 + 4.5, 9 + 3)


def test_sample_digits_are_drawn_without_some_digits():
    only_sevens = plots.sample_digits(IMAGES, np.full(50, 7))
    every_digit = plots.sample_digits(IMAGES, np.arange(50) % 10)
    assert size(only_sevens) == size(every_digit)
    assert only_sevens != every_digit


@pytest.mark.parametrize("n_epochs", [1, 30])
def test_learning_curves_are_drawn_with_and_without_validation(n_epochs):
    history = [Record(epoch + 1) for epoch in range(n_epochs)]
    without = [replace(record, validation_loss=None, validation_accuracy=None) for record in history]
    assert plots.learning_curves([history]) != plots.learning_curves([without])
    size(plots.learning_curves([history, without]))


def test_an_error_rate_of_zero_is_drawn():
    size(plots.learning_curves([[Record(1, accuracy=1.0, validation_accuracy=1.0)]]))


def test_confusion_matrix_shows_where_the_mistakes_are():
    perfect = np.diag([5] * 10)
    one_wrong = perfect.copy()
    one_wrong[4, 9] = 1
    assert plots.confusion_matrix(perfect) != plots.confusion_matrix(one_wrong)


def test_fewer_than_40_challenging_digits_are_drawn():
    labels = RNG.integers(0, 10, 5)
    predicted = RNG.dirichlet(np.ones(10), 5)
    five, four = (plots.challenging_digits(IMAGES[:n], labels[:n], predicted[:n]) for n in (5, 4))
    assert size(five) == size(four)
    assert five != four


def test_the_reliability_curve_shows_each_bin():
    one, two = [(0.9, 0.8, 10)], [(0.5, 0.4, 3), (0.9, 0.8, 10)]
    assert plots.reliability_curve(one) != plots.reliability_curve(two)


def test_public_scores_of_a_single_run_are_drawn():
    size(plots.public_scores([("#1", 0.99, 0.991)]))


@pytest.fixture(scope="module")
def plots_of_a_run(tmp_path_factory):
    """Runs `digits run` on the sample with a matplotlibrc and environment variables: exit code, output, plots."""

    def call(matplotlibrc="", **variables):
        folder = tmp_path_factory.mktemp("run")
        (folder / "matplotlibrc").write_text(matplotlibrc)
        words = ("run", "--data", "sample", "--recipe", "quick", "--epochs", "1", "--validation", "0.2")
        with started(folder, *words, **variables) as process:
            pass
        plots = {file.name: file.read_bytes() for file in folder.glob("submissions/*/*.png")}
        assert digits(folder, "show", "last") == 0
        with Workspace(folder).existing_ledger() as ledger:
            assert ledger.run("last").status == "done"
        return process.returncode, (folder / "printed").read_text(), plots

    return call


def test_plots_do_not_depend_on_the_settings_of_the_user(plots_of_a_run):
    code, _, plots = plots_of_a_run()
    assert code == 0
    assert len(plots) == 4
    strange = "text.usetex: True\nbackend: nowhere\naxes.facecolor: red\n"
    assert plots_of_a_run(strange, MPLBACKEND="nowhere")[::2] == (0, plots)


def test_a_run_whose_plots_cannot_be_drawn_is_done(plots_of_a_run, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('broken')")
    code, printed, plots = plots_of_a_run(PYTHONPATH=os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(tmp_path)]))
    assert (code, plots) == (0, {})
    assert "plots are missing (ImportError: broken)" in " ".join(printed.split())
    assert "Wrote submissions" in printed
