"""What long work reports while it runs. Library functions report to a `Reporter`; only `cli` and notebooks print."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class TrainingHooks:
    """Called while networks are trained. Each method does nothing unless a subclass overrides it."""

    def on_batch(self, network: str, step: int, n_steps: int) -> None:
        """Called after `step` of the `n_steps` steps of an epoch, in this process only."""

    def on_epoch(self, network: str, epoch: Any) -> None:
        """Called after each epoch with its `tracking.history.Epoch`. What it raises ends the training."""

    def on_network(self, network: str, metrics: Any) -> None:
        """Called for each trained network with the `Metrics` on its held-out rows, None without any."""


class Reporter:
    """Receives the progress of long work. This class is silent; a subclass overrides what it shows."""

    def info(self, text: str) -> None:
        """Receives a sentence about what is done."""

    def warning(self, text: str) -> None:
        """Receives a sentence about what may be wrong; the work goes on."""

    def on_data(self, inspection: Any) -> None:
        """Receives the `data.inspection.Inspection` of the data, before any training."""

    def on_result(self, result: Any) -> None:
        """Receives the `tracking.run_record.RunResult` of a finished run, before any upload."""

    def on_stopped(self, run: str) -> None:
        """Receives the name of a run that was stopped and can be resumed."""

    def confirm(self, question: str, otherwise: str) -> bool:
        """Returns whether the user agrees; False, and `otherwise` is information, where nobody can be asked."""
        self.info(otherwise)
        return False

    @contextmanager
    def status(self) -> Iterator[Callable[[str], None]]:
        """Yields a function that receives what is being waited for, again and again."""
        yield lambda text: None

    @contextmanager
    def training(
        self, epochs: Mapping[str, int], title: str = "training", side_by_side: bool = False
    ) -> Iterator[TrainingHooks]:
        """Yields the hooks of a training of networks, of which `epochs` holds the number of epochs by name."""
        yield TrainingHooks()

    @contextmanager
    def rows(self, n_bytes: int) -> Iterator[Callable[[int, int], None]]:
        """Yields a function that receives how many of `n_bytes` bytes of input are done, and how many rows."""
        yield lambda n_done, n_rows: None


SILENT = Reporter()
