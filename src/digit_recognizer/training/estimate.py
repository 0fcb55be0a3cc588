"""The networks that a run would train, with seconds where the ledger knows them: `digits run --dry-run`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from digit_recognizer.recipes.recipe import Recipe, network_recipe
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.utils import environment

Known = dict[tuple[Any, ...], list[float]]  # seconds of networks, by `_key`


@dataclass(frozen=True)
class NetworkEstimate:
    """A network that would be trained."""

    name: str
    model: str
    epochs: int
    fitted: int  # training rows
    held_out: int
    seconds: float | None  # None where the ledger does not know them


@dataclass(frozen=True)
class RunEstimate:
    """What a run would train."""

    networks: tuple[NetworkEstimate, ...]
    threads: int  # of each
    at_a_time: int | None  # None on a cluster
    seconds: float | None  # None where those of a network are not known

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "networks": [asdict(network) for network in self.networks]}


def estimate_run(networks: Sequence[NetworkSpec], ledger: Ledger | None, at_a_time: int | None) -> RunEstimate:
    """List `networks`, of which `at_a_time` train side by side.

    The seconds of a network are the median of those of the ledger that this machine trained by as many threads, with
    the same model, epochs, batch size and number of images.
    """
    threads = (networks[0].recipe.threads if networks else 0) or environment.threads()
    known = _known(ledger, threads) if ledger else {}
    estimates = tuple(
        NetworkEstimate(
            network.name,
            network.recipe.model,
            network.recipe.epochs,
            len(network.train_rows),
            len(network.held_out),
            _seconds(known.get(_key(network.recipe, len(network.train_rows)))),
        )
        for network in networks
    )
    total = _total([estimate.seconds for estimate in estimates], at_a_time or 1)
    return RunEstimate(estimates, threads, at_a_time, total)


def _known(ledger: Ledger, threads: int) -> Known:
    """The seconds of networks that this machine trained by as many threads."""
    known: Known = {}
    here = environment.cpu(), threads
    alike = [run for run in ledger.runs() if not run.is_blend and (run.cpu, run.threads) == here]
    for run in alike:
        if run.device != alike[0].device:  # the newest has what Keras computes on now
            continue
        for row in ledger.networks(run.id):
            known.setdefault(_key(network_recipe(run.recipe, row.name), row.train_n), []).append(row.seconds)
    return known


def _key(recipe: Recipe, n_images: int) -> tuple[Any, ...]:
    return recipe.model, recipe.epochs, recipe.batch_size, n_images


def _seconds(known: Sequence[float] | None) -> float | None:
    return median(known) if known else None


def _total(seconds: Sequence[float | None], at_a_time: int) -> float | None:
    """How long so many at a time take, each begun as soon as one ends."""
    ends = [0.0] * at_a_time
    for one in seconds:
        if one is None:
            return None
        ends[ends.index(min(ends))] += one
    return max(ends)
