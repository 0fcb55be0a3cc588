"""The Optuna study of a sweep, to which several processes may add trials. Optuna is loaded by the calls."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from filelock import FileLock

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import from_record
from digit_recognizer.training.tuning import search_space
from digit_recognizer.training.tuning.results import journal_of, trial_of
from digit_recognizer.training.tuning.search_space import SearchSpace
from digit_recognizer.training.tuning.storage import require_optuna, storage
from digit_recognizer.utils.locks import alive, is_alive

COUNTED = ("complete", "pruned", "diverged", "running")  # states of the trials that count towards the wanted number
_DRAWS = 5  # in a row that may repeat tried values
_STARTUP = 5  # finished trials before any is pruned: a median of fewer is unreliable
_STEPS = 10  # of a trial, at which it is compared with others: tenths of its first fold's training
_SPARED = 2  # steps without pruning: the warm-up of the schedule "triangle"


@dataclass(frozen=True, eq=False)
class Study:
    """An open study, to which this process adds trials."""

    optuna: Any  # an optuna.Study
    space: SearchSpace
    folder: Path  # of its journal
    worker: str  # names the lock file that this process holds


@contextmanager
def open_study(space: SearchSpace, hashes: dict[str, str], folder: Path) -> Iterator[Study]:
    """The study of a space, created if necessary; `hashes` are those of the files that its trials are trained on.

    Raises InputError when the study was created with another space or data, RunError when its journal is damaged or
    Optuna is not installed.
    """
    wanted = {**search_space.to_record(space), **hashes}
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder, space.name):
        study = require_optuna().create_study(
            storage=storage(journal_of(folder, space.name)),
            study_name=space.name,
            direction="maximize" if space.objective == "accuracy" else "minimize",
            load_if_exists=True,
        )
        _check_same(study, wanted, f"{space.file}: the study {space.name}")
    pruners = require_optuna().pruners
    study.pruner = pruners.MedianPruner(_STARTUP, n_warmup_steps=_SPARED + 1, n_min_trials=_STARTUP)
    worker = uuid4().hex
    with alive(_worker_lock(folder, space.name, worker), f"{worker} belongs to another process."):
        yield Study(study, space, folder, worker)


def ask(study: Study, n_trials: int) -> Any:
    """Draw the next trial, with values that were not tried before.

    Returns None when the study has `n_trials`, running ones included, or when no other values are left.
    """
    with _lock(study.folder, study.space.name):
        _close_lost_trials(study)
        known = study.optuna.get_trials(deepcopy=False)
        counted = [trial for trial in known if trial_of(trial).state in COUNTED]
        if len(counted) >= n_trials:
            return None
        tried = [_rounded(trial.params) for trial in counted]
        left = search_space.combinations(study.space)
        left = left and [values for values in left if _rounded(values) not in tried]
        if left == []:
            return None
        for number in range(len(known), len(known) + _DRAWS):
            trial = _draw_trial(study, number)
            if _rounded(trial.params) not in tried:
                break
            trial.set_user_attr("repeats", True)
            study.optuna.tell(trial, state=require_optuna().trial.TrialState.FAIL)
        else:  # the sampler draws nothing new: any of the values that are left
            study.optuna.enqueue_trial(Random(number).choice(left or [{}]))
            trial = _draw_trial(study, number + 1)
        trial.set_user_attr("worker", study.worker)
        return trial


def _draw_trial(study: Study, number: int) -> Any:
    optuna = require_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # Optuna 4, of constant_liar
        # A seed for each trial, as one seed would repeat its draws after a kill and in other processes. The liar keeps
        # concurrent processes from drawing similar values; it does not affect a single process.
        study.optuna.sampler = optuna.samplers.TPESampler(
            seed=(study.space.recipe.seed + number) % 2**32, multivariate=False, constant_liar=True
        )
    dimensions = study.space.dimensions
    return study.optuna.ask({field: search_space.distribution(dimension) for field, dimension in dimensions.items()})


def report(trial: Any, value: float, epoch: int, n_epochs: int) -> bool:
    """Report a trial's value after an epoch of its training. Returns whether to prune it.

    A trial is pruned when its best value so far is worse than the median of the finished trials at the same step. Steps
    are tenths of the training, so that trials of few and of many epochs can be compared.
    """
    steps = [step for step in range(1, _STEPS + 1) if step * n_epochs // _STEPS == epoch]
    for step in steps:
        trial.report(value, step)
    return bool(steps and trial.should_prune())


def finish(study: Study, trial: Any, value: float) -> bool:
    """Close a trial with its objective value. Returns whether it is the best so far."""
    study.optuna.tell(trial, value)
    return bool(study.optuna.best_trial.number == trial.number)


def close(study: Study, trial: Any, state: str) -> None:
    """Close a trial without a value: a pruned, diverged or interrupted one."""
    states = require_optuna().trial.TrialState
    if state == "diverged":
        trial.set_user_attr("diverged", True)
    study.optuna.tell(trial, state=states.PRUNED if state == "pruned" else states.FAIL)


def _check_same(study: Any, wanted: dict[str, Any], which: str) -> None:
    """Store the settings of a new study. Raises InputError when an existing one has different ones."""
    stored = study.user_attrs.get("begun")  # a stored key, so its name stays
    if stored is None:
        study.set_user_attr("begun", wanted)
        return
    before = {**stored, "recipe": search_space.recipe_record(from_record(stored["recipe"]))}  # may lack new fields
    if changed := ", ".join(_changes(before, wanted)):
        raise InputError(
            f"{which} has other settings ({changed}), so its trials cannot be compared with new ones. Undo the change, "
            "or save the file under another name for a new study."
        )


def _changes(stored: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """The differences as text, including nested ones."""
    for key in {**stored, **wanted}:
        before, now = stored.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _changes(before, now)
        elif before != now:
            yield f"{key}: was {before}, is {now}"


def _rounded(params: dict[str, Any]) -> dict[str, Any]:
    """Values that can be compared: three times a step may differ from the sum of three steps."""
    return {field: f"{value:.9g}" if isinstance(value, float) else value for field, value in params.items()}


def _close_lost_trials(study: Study) -> None:
    """Mark the trials of dead processes as failed. The study's lock must be held, so that each has a worker's name."""
    states = require_optuna().trial.TrialState
    for trial in study.optuna.get_trials(deepcopy=False, states=[states.RUNNING]):
        if not _is_alive(study, trial):
            # A worker may have closed its trial since, just before it ended.
            study.optuna.tell(trial.number, state=states.FAIL, skip_if_finished=True)


def _is_alive(study: Study, trial: Any) -> bool:
    worker = trial.user_attrs.get("worker")
    return worker is not None and is_alive(_worker_lock(study.folder, study.space.name, worker))


def _lock(folder: Path, name: str) -> FileLock:
    """The lock of a study, held while a process opens it or asks for a trial."""
    return FileLock(folder / f"{name}.lock", timeout=60)


def _worker_lock(folder: Path, name: str, worker: str) -> Path:
    return folder / f"{name}.{worker}.worker"
