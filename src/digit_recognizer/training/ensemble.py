"""The training that `digits run` and `digits sweep` share: the networks of an open run, each written and entered.

Comes in: an open run, its recipe, its data. Goes out: what the networks say together, and the files that belong to
it. Refuses to know answers and the terminal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.data.sources import Source
from digit_recognizer.evaluation.prediction import Metrics
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.recipes.toml import describe_models
from digit_recognizer.tracking import run_dir, run_session
from digit_recognizer.tracking.run_session import ActiveRun
from digit_recognizer.training import checkpoints, cross_validation
from digit_recognizer.training.cross_validation import EnsemblePredictions, NetworkResult, NetworkSpec
from digit_recognizer.training.distillation import Teacher, teachers_of
from digit_recognizer.training.parallel import process_pool
from digit_recognizer.training.parallel.process_pool import Pool
from digit_recognizer.training.parallel.worker import TrainingTask
from digit_recognizer.training.state import Checkpoint, Epoch
from digit_recognizer.utils import backend, environment, signals


@dataclass(frozen=True, eq=False)
class Data:
    """The competition as it was read."""

    source: Source
    train: LabelledTable
    test: Table


def facts(kind: str, recipe_name: str, recipe: Recipe, data: Data, pool: Pool | None = None) -> dict[str, Any]:
    """What the ledger's row of such a run says from its beginning; without a `pool` Keras is loaded."""
    return {
        "kind": kind,
        "recipe_name": recipe_name,
        "recipe": asdict(recipe),
        "seed": recipe.seed,
        **_where(recipe.threads, pool),
        "threads": recipe.threads or environment.threads(),
        "data": str(data.source.place),
        "source": data.source.kind,
        "train_hash": data.train.fingerprint,
        "test_hash": data.test.fingerprint,
    }


def where(facts: Mapping[str, Any]) -> dict[str, str]:
    """The part of these facts that tells where the networks are trained."""
    return {name: facts[name] for name in ("device", "cpu")}


def _where(threads: int, pool: Pool | None) -> dict[str, str]:
    """It, of this process or the pool's. Who calls has made sure that Keras and its backend are installed."""
    if pool:
        return process_pool.where(pool, threads)
    backend.start_backend(threads)  # takes seconds, and is not needed before
    return {"device": backend.device(), "cpu": environment.cpu()}


def train_ensemble(
    entry: ActiveRun,
    members: Sequence[NetworkSpec],
    data: Data,
    on_batch: Callable[[int, int], None] = lambda step, n_steps: None,
    on_epoch: Callable[[NetworkSpec, Epoch], None] = lambda member, epoch: None,
    on_member: Callable[[str, Metrics | None], None] = lambda name, fit: None,
    teachers: Sequence[Teacher] = (),
    resumable: bool = False,
    pool: Pool | None = None,
) -> EnsemblePredictions:
    """Train all `members`, by this process or the `pool`'s, each written and entered as soon as it is done.

    What another process left of the run is taken over: networks that are done, and checkpoints of those it was at.
    Checkpoints are kept when the run is `resumable`, and by a pool in any case. `on_batch` hears only of this process.
    Raises Diverged when one does, InputError when what was left is damaged, RunError when the pool's workers die again
    and again; what the callbacks raise ends the training, and so do Ctrl-C, SIGTERM and SIGHUP, after any batch.
    """
    folders = {one.name: run_dir.member_folder(entry.folder, one.name, len(members)) for one in members}
    done = {row["name"]: row for row in entry.ledger.members(entry.number)}
    outcomes = {}
    with signals.handle_signals():

        def take(member: NetworkSpec, outcome: NetworkResult) -> None:
            if member.name not in done:
                signals.raise_if_signalled()
                _enter(entry, member, outcome, folders[member.name])
            checkpoints.delete_checkpoints(folders[member.name])
            outcomes[member.name] = outcome
            on_member(member.name, outcome.metrics.get("validation"))

        def after_batch(step: int, n_steps: int) -> None:
            signals.raise_if_signalled()
            on_batch(step, n_steps)

        for member in members:
            if member.name in done:
                take(member, checkpoints.load_result(folders[member.name], done[member.name]))
        left = [member for member in members if member.name not in done]
        if pool:
            try:
                _train_by(pool, left, data, folders, on_epoch, take, teachers)
            finally:
                for folder in () if resumable else folders.values():
                    checkpoints.delete_checkpoints(folder)
        else:
            for member in left:
                own = [teacher.network() for teacher in teachers_of(member, teachers)]
                folder, tell = folders[member.name], partial(on_epoch, member)
                take(member, _train_one(member, data, folder, after_batch, tell, own, resumable))
    return cross_validation.combine(members, [outcomes[member.name] for member in members])


def _train_by(
    pool: Pool,
    members: Sequence[NetworkSpec],
    data: Data,
    folders: Mapping[str, Path],
    on_epoch: Callable[[NetworkSpec, Epoch], None],
    on_outcome: Callable[[NetworkSpec, NetworkResult], None],
    teachers: Sequence[Teacher],
) -> None:
    """Have the networks trained by workers; of their epochs the checkpoints in their folders tell."""
    named = {member.name: member for member in members}
    told = dict.fromkeys(named, 0)

    def tell(name: str, history: Sequence[Epoch]) -> None:
        for epoch in history[told[name] :]:
            on_epoch(named[name], epoch)
        told[name] = max(told[name], len(history))

    def on_moment() -> None:
        signals.raise_if_signalled()
        for name in told:
            if run_dir.last_checkpoint_epoch(folders[name]) > told[name]:
                tell(name, checkpoints.read_progress(folders[name]))

    def take(name: str, outcome: NetworkResult) -> None:
        tell(name, outcome.history)
        on_outcome(named[name], outcome)

    jobs = {}
    for name, member in named.items():
        identity = checkpoints.training_fingerprint(member, data.train.fingerprint)
        jobs[name] = TrainingTask(member, identity, tuple(teachers_of(member, teachers))), folders[name]
    process_pool.train_in_pool(pool, jobs, take, on_moment)


def _train_one(
    member: NetworkSpec,
    data: Data,
    folder: Path,
    on_batch: Callable[[int, int], None],
    on_epoch: Callable[[Epoch], None],
    teachers: Sequence[Any],
    resumable: bool,
) -> NetworkResult:
    """Train a network from the checkpoint in its folder, if there is one."""
    from digit_recognizer.training import network

    identity = checkpoints.training_fingerprint(member, data.train.fingerprint)
    begun = checkpoints.load_latest_checkpoint(folder, identity)
    for epoch in begun.history if begun else ():
        on_epoch(epoch)

    def keep(checkpoint: Checkpoint) -> None:
        signals.raise_if_signalled()
        if resumable:
            checkpoints.save_checkpoint(folder, identity, checkpoint)

    return network.train_network(member, data.train, data.test, on_batch, on_epoch, teachers, begun, keep)


def _enter(entry: ActiveRun, member: NetworkSpec, outcome: NetworkResult, folder: Path) -> None:
    """Write what a network leaves, then its row of the ledger, with which it counts as done."""
    checkpoints.save_result(folder, outcome, member.held_out)
    train_fit, fit = outcome.metrics["train"], outcome.metrics.get("validation")
    entry.ledger.add_member(
        entry.number,
        name=member.name,
        model=member.recipe.model,
        seed=member.recipe.seed,
        fold=member.fold,
        weights=outcome.n_weights,
        train_n=train_fit.n,
        train_accuracy=train_fit.accuracy,
        train_loss=train_fit.loss,
        n=fit and fit.n,
        accuracy=fit and fit.accuracy,
        loss=fit and fit.loss,
        seconds=outcome.seconds["train"],
        seconds_predict=outcome.seconds["predict"],
    )


def write_results(
    entry: ActiveRun, recipe_name: str, recipe: Recipe, data: Data, together: EnsemblePredictions
) -> dict[str, Any]:
    """Write submission, recipe and probabilities to the run's folder; the begin of the run's record."""
    answer = run_session.write_predictions(
        entry.folder, asdict(recipe), together.rows, together.log_p, together.test_log_p, data.train.labels
    )
    return {
        "run": entry.name,
        "recipe": recipe_name,
        "model": describe_models(recipe),
        "weights": together.n_weights,
        "networks": together.n_networks,
        "data": data.source.describe(),
        "train": asdict(together.train_fit),
        **answer,
    }
