"""Progress reports of long tasks. Library functions report to a `Reporter`; only `cli` and notebooks print."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class TrainingHooks:
    """Callbacks of a training. Each method does nothing unless a subclass overrides it."""

    def on_batch(self, network: str, step: int, n_steps: int) -> None:
        """Called after `step` of the `n_steps` steps of an epoch, in this process only."""

    def on_epoch(self, network: str, epoch: Any) -> None:
        """Called after each epoch with its `tracking.history.Epoch`. An exception ends the training."""

    def on_network(self, network: str, metrics: Any) -> None:
        """Called for each trained network with the `Metrics` on its held-out rows, None without any."""


class Reporter:
    """Receives the progress of long tasks. This class is silent; a subclass overrides the reports that it shows."""

    def info(self, text: str) -> None:
        """Receives a sentence about a completed step."""

    def warning(self, text: str) -> None:
        """Receives a sentence about a possible problem; the task continues."""

    def on_data(self, inspection: Any) -> None:
        """Receives the `data.inspection.Inspection` of the data, before any training."""

    def on_result(self, result: Any) -> None:
        """Receives the `tracking.run_record.RunResult` of a finished run, before any upload."""

    def on_stopped(self, run: str) -> None:
        """Receives the name of a run that was stopped and can be resumed."""

    def confirm(self, question: str, otherwise: str) -> bool:
        """Returns whether the user agrees. Without a user to ask, reports `otherwise` and returns False."""
        self.info(otherwise)
        return False

    @contextmanager
    def status(self) -> Iterator[Callable[[str], None]]:
        """Yields a function that receives the name of the current step, as often as it changes."""
        yield lambda text: None

    @contextmanager
    def training(self, epochs: Mapping[str, int], title: str = "training") -> Iterator[TrainingHooks]:
        """Yields the hooks of a training; `epochs` maps the networks' names to their numbers of epochs."""
        yield TrainingHooks()

    @contextmanager
    def rows(self, n_bytes: int) -> Iterator[Callable[[int, int], None]]:
        """Yields a function that receives the numbers of bytes, of `n_bytes`, and rows that are processed so far."""
        yield lambda n_done, n_rows: None


SILENT = Reporter()
