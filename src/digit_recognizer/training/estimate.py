"""The networks that a run would train, with seconds where the ledger has them: `digits run --dry-run`."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from digit_recognizer.recipes.recipe import Recipe, network_recipe
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.utils import environment


@dataclass(frozen=True)
class NetworkEstimate:
    """A network that would be trained."""

    name: str
    model: str
    epochs: int
    fitted: int  # training rows
    held_out: int
    seconds: float | None  # None when the ledger has no such network


@dataclass(frozen=True)
class RunEstimate:
    """The networks that a run would train, and its seconds."""

    networks: tuple[NetworkEstimate, ...]
    threads: int  # of each network
    at_a_time: int | None  # None on a cluster
    seconds: float | None  # None when those of a network are None


def estimate_run(networks: Sequence[NetworkSpec], ledger: Ledger | None, at_a_time: int | None) -> RunEstimate:
    """List `networks`, of which `at_a_time` are trained side by side.

    The seconds of a network are the median of those in the ledger with the same CPU, threads, model, epochs, batch size
    and number of images.
    """
    threads = (networks[0].recipe.threads if networks else 0) or environment.threads()
    seconds = _measured_seconds(ledger, threads) if ledger else {}
    estimates = tuple(
        NetworkEstimate(
            network.name,
            network.recipe.model,
            network.recipe.epochs,
            len(network.train_rows),
            len(network.held_out),
            seconds.get(_key(network.recipe, len(network.train_rows))),
        )
        for network in networks
    )
    ends = [0.0] * (at_a_time or 1)  # of the networks that each worker trains
    for estimate in estimates:
        ends[ends.index(min(ends))] += estimate.seconds or 0.0
    is_complete = all(estimate.seconds is not None for estimate in estimates)
    return RunEstimate(estimates, threads, at_a_time, max(ends) if is_complete else None)


def _measured_seconds(ledger: Ledger, threads: int) -> dict[tuple[Any, ...], float]:
    """Returns the median seconds of networks that this machine trained with as many threads, by `_key`."""
    here = environment.cpu(), threads
    alike = [run for run in ledger.runs() if not run.is_blend and (run.cpu, run.threads) == here]
    measured: dict[tuple[Any, ...], list[float]] = {}
    for run in alike:
        if run.device == alike[0].device:  # the newest run has the device that Keras uses now
            for row in ledger.networks(run.id):
                measured.setdefault(_key(network_recipe(run.recipe, row.name), row.train_n), []).append(row.seconds)
    return {key: median(seconds) for key, seconds in measured.items()}


def _key(recipe: Recipe, n_images: int) -> tuple[Any, ...]:
    return recipe.model, recipe.epochs, recipe.batch_size, n_images
