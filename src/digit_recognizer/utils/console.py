"""Printing: text, tables and progress bars on a terminal, plain lines elsewhere and in notebooks.

Only the commands, and notebooks with `progress=True`, print.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.prompt import Confirm
from rich.table import Table
from rich.text import Text

from digit_recognizer.utils.reporter import Reporter, TrainingHooks

_NUMBER = re.compile(r"-|[-+]?[\d.,]+%?( ± [\d.]+)?")
_SHORT = 12  # characters; columns of shorter texts are not wrapped
_LEGIBLE = 24  # characters; the minimum width of the last column
_GAP = 2  # characters between columns

# Notebooks get plain lines: rich's HTML puts each line in a box, and ipykernel sets FORCE_COLOR as if for a terminal.
console = Console(highlight=False, force_jupyter=False, force_terminal=False if Console().is_jupyter else None)


def print_text(text: str, style: str = "", wrap: bool = True) -> None:
    """Print text literally, without rich's markup; commands without `wrap`, so that they can be copied."""
    console.print(_literal(text, style), soft_wrap=not (wrap and console.is_terminal))


def print_error(text: str, style: str = "red") -> None:
    """Print an error or a warning to stderr."""
    screen = Console(stderr=True, highlight=False, force_jupyter=False)
    screen.print(_literal(text, style), soft_wrap=not screen.is_terminal)


def print_table(columns: list[str], rows: list[list[str]], spare: tuple[str, ...] = ()) -> None:
    """Print a table, without a header if all names are empty; columns of numbers are right-aligned.

    On a narrow terminal, the last column is wrapped, and `spare` columns are left out until the table fits. Elsewhere
    no column is wrapped.
    """
    texts = [[_literal(cell) for cell in row] for row in rows]
    widths = [max(cell.cell_len for cell in cells) for cells in zip(map(Text, columns), *texts, strict=True)]
    kept = list(range(len(columns)))
    for column in spare if console.is_terminal else ():
        if _width(widths, kept) > console.width:
            kept = [position for position in kept if columns[position] != column]
    is_roomy = _width(widths, kept) <= console.width
    table = Table(box=None, pad_edge=False, show_header=any(columns))
    for position in kept:
        cells = [row[position] for row in rows]
        numbers = all(_NUMBER.fullmatch(cell) for cell in cells)
        no_wrap = numbers or all(len(cell) <= _SHORT for cell in cells) or (is_roomy and position != kept[-1])
        table.add_column(columns[position], justify="right" if numbers else "left", overflow="fold", no_wrap=no_wrap)
    for row in texts:
        table.add_row(*(row[position] for position in kept))
    if console.is_terminal:
        console.print(table)
    else:
        table.width = sum(widths) + _GAP * (len(widths) - 1)
        with console.capture() as lines:
            console.print(table, crop=False)
        print_text("\n".join(map(str.rstrip, lines.get().splitlines())))
    if absent := [column for position, column in enumerate(columns) if position not in kept]:
        print_text(f"Columns that do not fit this terminal: {', '.join(absent)}.", style="dim")


def _width(widths: list[int], kept: list[int]) -> int:
    """Return the width of these columns, with the last one wrapped to its minimum width."""
    return sum(widths[position] + _GAP for position in kept[:-1]) + min(widths[-1], _LEGIBLE)


def _literal(text: str, style: str = "") -> Text:
    """Return the text with control characters and direction marks escaped."""
    printable = (c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
    return Text("".join(printable), style=style)


class ConsoleTraining(TrainingHooks):
    """Prints a line for each epoch of a single network, or for each of several networks, above a progress bar.

    `epochs` maps the names of the networks to their numbers of epochs.
    """

    def __init__(self, bar: Progress, title: str, epochs: Mapping[str, int]) -> None:
        self._bar, self._epochs = bar, epochs
        self._done = dict.fromkeys(epochs, 0)
        self._finished = 0
        self._task = bar.add_task(title, total=sum(epochs.values()))

    def on_batch(self, network: str, step: int, n_steps: int) -> None:
        self._bar.update(self._task, completed=sum(self._done.values()) + step / n_steps)

    def on_epoch(self, network: str, epoch: Any) -> None:
        self._done[network] = epoch.epoch
        self.on_batch(network, 0, 1)
        if len(self._epochs) > 1:
            return
        n_epochs = self._epochs[network]
        line = f"epoch {epoch.epoch:>{len(str(n_epochs))}}/{n_epochs}"
        line += f"   train: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
        if epoch.validation_loss is not None:
            line += f"   validation: {epoch.validation_loss:.4f}, {epoch.validation_accuracy:.4f}"
        print_text(line)

    def on_network(self, network: str, metrics: Any) -> None:
        self._finished += 1
        self._done[network] = self._epochs[network]
        self.on_batch(network, 0, 1)
        n = len(self._epochs)
        if n > 1:
            line = f"network {self._finished:>{len(str(n))}}/{n}   {network}"
            if metrics:
                line += f"   validation: loss {metrics.log_loss:.4f}, accuracy {metrics.accuracy:.4f}"
            print_text(line)


class ConsoleReporter(Reporter):
    """Prints the reports; progress bars only on a terminal."""

    def info(self, text: str) -> None:
        print_text(text)

    def warning(self, text: str) -> None:
        print_text(f"Warning: {text}", style="yellow")

    def on_data(self, inspection: Any) -> None:
        low, high = inspection.value_range
        for note in inspection.notes:
            print_text(f"{note}.")
        train, test = f"mean ink {inspection.mean_ink_train:.1f}", f"mean ink {inspection.mean_ink_test:.1f}"
        print_text(f"train.csv: {inspection.n_train:,} images, {train} of {high}")
        print_text(f"test.csv:  {inspection.n_test:,} images, {test}; pixels from {low} to {high}")
        print_table(["digit", *map(str, range(10))], [["images", *(f"{n:,}" for n in inspection.images_per_digit)]])
        for warning in inspection.warnings:
            self.warning(f"{warning}.")

    def confirm(self, question: str, otherwise: str) -> bool:
        if console.is_terminal and sys.stdin.isatty():
            return Confirm.ask(_literal(question), console=console, default=True)
        return super().confirm(question, otherwise)

    @contextmanager
    def status(self) -> Iterator[Callable[[str], None]]:
        """Shows a line with a clock on a terminal, and prints a line for each new status elsewhere."""
        last = ""

        def show(text: str) -> None:
            nonlocal last
            if text != last and not console.is_terminal:
                self.info(text)
            bar.update(task, description=_literal(text).plain)
            last = text

        with _progress(SpinnerColumn(), _TITLE, TimeElapsedColumn()) as bar:
            task = bar.add_task("", total=None)
            yield show

    @contextmanager
    def training(self, epochs: Mapping[str, int], title: str = "training") -> Iterator[TrainingHooks]:
        with _progress(_TITLE, BarColumn(), _PERCENTAGE, TimeRemainingColumn()) as bar:
            yield ConsoleTraining(bar, title, epochs)

    @contextmanager
    def rows(self, n_bytes: int) -> Iterator[Callable[[int, int], None]]:
        with _progress(BarColumn(), _PERCENTAGE, TimeRemainingColumn(), TextColumn("{task.fields[rows]}")) as bar:
            task = bar.add_task("", total=n_bytes, rows="")
            yield lambda done, n_rows: bar.update(task, completed=done, rows=f"{n_rows:,} rows")


_TITLE = TextColumn("{task.description}", markup=False)
_PERCENTAGE = TextColumn("{task.percentage:.0f} %")


def _progress(*columns: Any) -> Progress:
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
