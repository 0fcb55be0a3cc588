"""What a person sees: lines, tables, a progress bar on a terminal and plain lines elsewhere."""

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

_NUMBER = re.compile(r"-|[-+]?[\d.,]+%?( ± [\d.]+)?")
_SHORT = 12  # characters of a word that no line is broken in
_LEGIBLE = 24  # characters that a column of long texts needs at least
_GAP = 2  # characters between columns

console = Console(highlight=False)


def say(text: str, style: str = "") -> None:
    """One line, or more; the text is shown as it stands, whatever brackets it holds."""
    console.print(_shown(text, style), soft_wrap=not console.is_terminal)


def complain(text: str, style: str = "red") -> None:
    """An error or a warning, to stderr."""
    screen = Console(stderr=True, highlight=False)
    screen.print(_shown(text, style), soft_wrap=not screen.is_terminal)


def show_table(columns: list[str], rows: list[list[str]], spare: tuple[str, ...] = ()) -> None:
    """A table, without a head where all columns are nameless; numbers stand to the right, short words in one piece.

    On a terminal too narrow for it, the last column is broken into lines, and the `spare` ones are left out one by one.
    Elsewhere no line is broken.
    """
    texts = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(cell.cell_len for cell in cells) for cells in zip(map(Text, columns), *texts, strict=True)]
    kept = _fitting(columns, widths, spare) if console.is_terminal else list(range(len(columns)))
    is_roomy = _width(widths, kept) <= console.width
    table = Table(box=None, pad_edge=False, show_header=any(columns))
    for position in kept:
        cells = [row[position] for row in rows]
        numbers = all(_NUMBER.fullmatch(cell) for cell in cells)
        whole = numbers or all(len(cell) <= _SHORT for cell in cells) or (is_roomy and position != kept[-1])
        table.add_column(columns[position], justify="right" if numbers else "left", overflow="fold", no_wrap=whole)
    for row in texts:
        table.add_row(*(row[position] for position in kept))
    if console.is_terminal:
        console.print(table)
    else:
        table.width = sum(widths) + _GAP * (len(widths) - 1)
        with console.capture() as lines:
            console.print(table, crop=False)
        say("\n".join(map(str.rstrip, lines.get().splitlines())))
    if absent := [column for position, column in enumerate(columns) if position not in kept]:
        say(f"For want of room without {', '.join(absent)}.", style="dim")


def _fitting(columns: list[str], widths: list[int], spare: tuple[str, ...]) -> list[int]:
    """The places of the columns that the terminal has room for, or that are not spare."""
    kept = list(range(len(columns)))
    for column in spare:
        if _width(widths, kept) > console.width:
            kept = [place for place in kept if columns[place] != column]
    return kept


def _width(widths: list[int], kept: list[int]) -> int:
    """Of these columns, the last of which is broken into lines that are just legible."""
    return sum(widths[place] + _GAP for place in kept[:-1]) + min(widths[-1], _LEGIBLE)


def _shown(text: str, style: str = "") -> Text:
    """The text, with what would command the terminal, or turn the order of letters, in Python's notation."""
    harmless = (c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
    return Text("".join(harmless), style=style)


def agrees(question: str, otherwise: str) -> bool:
    """Whether the user says yes on a terminal; elsewhere nobody is asked, and `otherwise` is told."""
    if console.is_terminal and sys.stdin.isatty():
        return Confirm.ask(_shown(question), console=console, default=True)
    say(otherwise)
    return False


class TrainingLines:
    """A line for each finished epoch of a single network or for each of many networks, above bars.

    One bar is of all networks, of which `epochs` tells how many each has; it moves on with the batches. Networks that
    are trained side by side have each one more, from its first epoch on.
    """

    def __init__(self, bar: Progress, name: str, epochs: Mapping[str, int], side_by_side: bool) -> None:
        self._bar, self._epochs, self._side_by_side = bar, epochs, side_by_side
        self._done = dict.fromkeys(epochs, 0)
        self._finished = 0
        self._task = bar.add_task(name, total=sum(epochs.values()))
        self._own: dict[str, Any] = {}  # the bars of networks

    def on_batch(self, step: int, n_steps: int) -> None:
        self._bar.update(self._task, completed=sum(self._done.values()) + step / n_steps)

    def on_epoch(self, name: str, epoch: Any) -> None:
        """Tell a record with epoch, loss, accuracy, validation_loss and validation_accuracy (or None)."""
        self._done[name] = epoch.epoch
        if self._side_by_side:
            if name not in self._own:
                self._own[name] = self._bar.add_task(name, total=self._epochs[name])
            self._bar.update(self._own[name], completed=epoch.epoch)
            self.on_batch(0, 1)
        if len(self._epochs) > 1:
            return
        n_epochs = self._epochs[name]
        line = f"epoch {epoch.epoch:>{len(str(n_epochs))}}/{n_epochs}"
        line += f"   train: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"
        if epoch.validation_loss is not None:
            line += f"   validation: {epoch.validation_loss:.4f}, {epoch.validation_accuracy:.4f}"
        say(line)

    def on_member(self, name: str, fit: Any) -> None:
        """Tell that a network is done, and how it fits its held-out rows: a record with accuracy and loss, or None."""
        self._finished += 1
        self._done[name] = self._epochs[name]
        self.on_batch(0, 1)
        if name in self._own:
            self._bar.remove_task(self._own.pop(name))
        if len(self._epochs) > 1:
            judged = f"   validation: loss {fit.loss:.4f}, accuracy {fit.accuracy:.4f}" if fit else ""
            say(f"network {self._finished:>{len(str(len(self._epochs)))}}/{len(self._epochs)}   {name}{judged}")


@contextmanager
def progress(epochs: Mapping[str, int], name: str = "training", side_by_side: bool = False) -> Iterator[TrainingLines]:
    """Bars, only on a terminal, over the epochs of each network; the lines of what is done stand above them."""
    title = TextColumn("{task.description}", markup=False)
    columns = (title, BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield TrainingLines(bar, name, epochs, side_by_side)


@contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows what is going on: a line with a clock on a terminal, a line per news elsewhere."""
    told = ""

    def tell(text: str) -> None:
        nonlocal told
        if text != told and not console.is_terminal:
            say(text)
        bar.update(task, description=_shown(text).plain)
        told = text

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield tell


@contextmanager
def counting(n_bytes: int) -> Iterator[Callable[[int, int], None]]:
    """Yields a function that shows how many bytes of so many are done, and how many rows that is; on a terminal."""
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rows]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=n_bytes, rows="")
        yield lambda done, n_rows: bar.update(task, completed=done, rows=f"{n_rows:,} rows")
