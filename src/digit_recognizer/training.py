"""The training that `digits run` and `digits sweep` share: the networks of an open run, each written and entered.

Comes in: an open run, its recipe, its data. Goes out: what the networks say together, and the files that belong to
it. Refuses to know answers and the terminal.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import bookkeeping, interrupts, runs
from .bookkeeping import Entry
from .ledger import Ledger, Row
from .recipe_text import models_in_words
from .recipes import Recipe
from .sources import Source
from .tables import LabelledTable, Table
from .teaching import Teacher, teachers_of
from .terminal import quietly

if TYPE_CHECKING:
    from .crossval import Member, Outcome, Together
    from .predict import Fitness
    from .train import Checkpoint, Epoch


@dataclass(frozen=True, eq=False)
class Data:
    """The competition as it was read."""

    source: Source
    train: LabelledTable
    test: Table


def facts(kind: str, recipe_name: str, recipe: Recipe, data: Data) -> dict[str, Any]:
    """What the ledger's row of such a run says from its beginning; Keras is loaded (`plan`)."""
    from . import train

    return {
        "kind": kind,
        "recipe_name": recipe_name,
        "recipe": asdict(recipe),
        "seed": recipe.seed,
        "device": train.device(),
        "data": str(data.source.place),
        "source": data.source.kind,
        "train_hash": data.train.fingerprint,
        "test_hash": data.test.fingerprint,
    }


def plan(recipe: Recipe, data: Data) -> "tuple[Member, ...]":
    """All networks that `recipe` trains; loads Keras. Raises InputError when there are too few rows to split.

    Its caller has made sure that Keras and its backend are installed.
    """
    with quietly("Loading Keras and its backend"):  # which takes seconds and is not needed before
        from . import crossval, train

        train.start_backend()
    return crossval.plan(recipe, data.train.labels)


def train(
    entry: Entry,
    members: "Sequence[Member]",
    data: Data,
    on_batch: Callable[[int, int], None] = lambda step, n_steps: None,
    on_epoch: "Callable[[Member, Epoch], None]" = lambda member, epoch: None,
    on_member: "Callable[[str, Fitness | None], None]" = lambda name, fit: None,
    teachers: Sequence[Teacher] = (),
    resumable: bool = False,
) -> "Together":
    """Train all `members`, each written and entered as soon as it is done.

    What another process left of the run is taken over: networks that are done, and the checkpoint of the one it was at.
    Checkpoints are kept when the run is `resumable`. Raises Diverged when one does, InputError when what was left is
    damaged; what the callbacks raise ends the training, and so do Ctrl-C, SIGTERM and SIGHUP, after any batch.
    """
    from . import crossval, resuming

    done = {row["name"]: row for row in entry.book.members(entry.number)}
    outcomes = []
    with interrupts.remembered():

        def after_batch(step: int, n_steps: int) -> None:
            interrupts.check()
            on_batch(step, n_steps)

        for member in members:
            folder = runs.member_folder(entry.folder, member.name, len(members))
            if member.name in done:
                outcome = resuming.finished(folder, done[member.name])
            else:
                own = [teacher.network() for teacher in teachers_of(member, teachers)]
                outcome = _train_one(member, data, folder, after_batch, partial(on_epoch, member), own, resumable)
                interrupts.check()
                _enter(entry, member, outcome, folder)
            resuming.forget(folder)
            outcomes.append(outcome)
            on_member(member.name, outcome.fits.get("validation"))
    return crossval.together(members, outcomes)


def _train_one(
    member: "Member",
    data: Data,
    folder: Path,
    on_batch: Callable[[int, int], None],
    on_epoch: "Callable[[Epoch], None]",
    teachers: Sequence[Any],
    resumable: bool,
) -> "Outcome":
    """Train a network from the checkpoint in its folder, if there is one."""
    from . import crossval, resuming

    identity = resuming.identity(member, data.train.fingerprint)
    begun = resuming.begun(folder, identity)
    for epoch in begun.history if begun else ():
        on_epoch(epoch)

    def keep(checkpoint: "Checkpoint") -> None:
        interrupts.check()
        if resumable:
            resuming.keep(folder, identity, checkpoint)

    return crossval.train_member(member, data.train, data.test, on_batch, on_epoch, teachers, begun, keep)


def _enter(entry: Entry, member: "Member", outcome: "Outcome", folder: Path) -> None:
    """Write what a network leaves, then its row of the ledger, with which it counts as done."""
    runs.write_member(folder, outcome, member.held_out)
    train_fit, fit = outcome.fits["train"], outcome.fits.get("validation")
    entry.book.add_member(
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


def seconds_before(
    book: Ledger, run: Row, members: "Sequence[Member]", data: Data, tell: Callable[[str], None] = lambda line: None
) -> float:
    """How long other processes trained and predicted for this run; `tell` hears of a checkpoint that is passed over.

    Raises InputError when what they left is damaged.
    """
    from . import resuming

    return resuming.seconds_before(book, run, members, data.train.fingerprint, tell)


def write(entry: Entry, recipe_name: str, recipe: Recipe, data: Data, together: "Together") -> dict[str, Any]:
    """Write submission, recipe and probabilities to the run's folder; the begin of the run's record."""
    answer = bookkeeping.write_answer(
        entry.folder, asdict(recipe), together.rows, together.log_p, together.test_log_p, data.train.labels
    )
    return {
        "run": entry.name,
        "recipe": recipe_name,
        "model": models_in_words(recipe),
        "weights": together.n_weights,
        "networks": together.n_networks,
        "data": data.source.describe(),
        "train": asdict(together.train_fit),
        **answer,
    }
