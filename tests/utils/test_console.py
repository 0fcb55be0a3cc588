"""Printed text, tables and progress bars."""

import io
import re
from dataclasses import dataclass

import pytest
from rich.console import Console

from digit_recognizer.evaluation.metrics import Metrics
from digit_recognizer.utils import console as terminal


@dataclass(frozen=True)
class Record:
    epoch: int
    loss: float = 0.25
    accuracy: float = 0.93
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@pytest.fixture
def screen(monkeypatch):
    """Replace the console by one of 80 columns, a terminal or not; returns what was written."""

    def of_kind(is_terminal):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=80, highlight=False)
        monkeypatch.setattr(terminal, "console", console)
        return console.file

    return of_kind


@pytest.mark.parametrize("text", ["[red]no markup[/red]", "a [/] stray bracket", ":smile:"])
def test_text_is_printed_literally(screen, text):
    out = screen(False)
    terminal.print_text(text)
    terminal.print_table(["what"], [[text]])
    assert out.getvalue().count(text) == 2


def test_columns_of_numbers_are_right_aligned(screen):
    out = screen(False)
    terminal.print_table(["name", "n"], [["a", "1"], ["long", "1,000"]])
    assert [line.rstrip() for line in out.getvalue().splitlines()] == ["name      n", "a         1", "long  1,000"]


def test_a_status_is_printed_literally(screen):
    out = screen(True)
    with terminal.ConsoleReporter().status() as show:
        show("Sending a\\[/x]\x1b]0;owned\x07.csv")
    assert r"Sending a\[/x]\x1b]0;owned\x07.csv" in out.getvalue()


def test_a_narrow_terminal_drops_spare_columns_and_no_characters(screen):
    columns, row = (
        ["#", "name", "weights", "validated on", "other"],
        ["1", "long-name" * 4, "61,706", "holdout", "word " * 20],
    )
    out = screen(True)
    terminal.print_table(columns, [row], spare=("validated on", "weights"))
    assert "long-name" * 4 in out.getvalue()
    assert "61,706" in out.getvalue()
    assert "Columns that do not fit this terminal: validated on." in out.getvalue()
    assert max(len(re.sub(r"\x1b\[\d*m", "", line)) for line in out.getvalue().splitlines()) <= 80
    out = screen(False)
    terminal.print_table(columns, [row, [*row[:-1], "\x1b" * 99]], spare=("validated on", "weights"))
    assert [line[-4:] for line in out.getvalue().splitlines()] == ["ther", "word", r"\x1b"]


def test_epochs_are_plain_lines_without_a_terminal(screen):
    out = screen(False)
    with terminal.ConsoleReporter().training({"one": 12}) as epochs:
        epochs.on_batch("one", 1, 2)
        epochs.on_epoch("one", Record(1))
        epochs.on_epoch("one", Record(2, validation_loss=0.5, validation_accuracy=0.8))
    assert out.getvalue() == (
        "epoch  1/12   train: loss 0.2500, accuracy 0.9300\n"
        "epoch  2/12   train: loss 0.2500, accuracy 0.9300   validation: 0.5000, 0.8000\n"
    )


def test_each_of_several_networks_has_a_line(screen):
    out = screen(False)
    with terminal.ConsoleReporter().training({"lenet5-seed0": 2, "lenet5-seed1": 2}) as lines:
        for name in ("lenet5-seed0", "lenet5-seed1"):
            lines.on_epoch(name, Record(1))
            lines.on_epoch(name, Record(2))
            lines.on_network(name, Metrics(9, 0.75, 0.5) if name.endswith("0") else None)
    assert out.getvalue() == (
        "network 1/2   lenet5-seed0   validation: loss 0.5000, accuracy 0.7500\nnetwork 2/2   lenet5-seed1\n"
    )


def test_the_bar_on_a_terminal_is_erased_at_the_end(screen):
    out = screen(True)
    with terminal.ConsoleReporter().training({"one": 2}) as epochs:
        epochs.on_batch("one", 1, 2)
        epochs.on_epoch("one", Record(1))
    assert "training" in out.getvalue()
    assert "epoch 1/2" in out.getvalue()
    assert out.getvalue().endswith("\x1b[2K")  # the bar's line is erased


def test_one_bar_has_the_progress_of_all_networks(screen):
    out = screen(True)
    with terminal.ConsoleReporter().training({"first": 2, "[second]": 2}) as lines:
        lines.on_epoch("first", Record(1))
        lines.on_epoch("[second]", Record(1))
        lines.on_batch("first", 1, 2)
        assert [(task.description, task.completed) for task in lines._bar.tasks] == [("training", 2.5)]
        lines.on_network("[second]", None)
        assert lines._bar.tasks[0].completed == 3
    assert "network 1/2   [second]" in out.getvalue()
    assert "epoch 1/2" not in out.getvalue()


def test_each_status_is_printed_once_without_a_terminal(screen):
    out = screen(False)
    with terminal.ConsoleReporter().status() as show:
        for text in ("[sending]", "[sending]", "scored"):
            show(text)
    assert out.getvalue() == "[sending]\nscored\n"
