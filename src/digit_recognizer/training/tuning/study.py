"""The study behind a sweep: what Optuna drew. Several processes may add trials to it; Optuna is loaded by the calls."""

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
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.training.tuning import search_space
from digit_recognizer.training.tuning.results import journal_of, objective_of, trial_of
from digit_recognizer.training.tuning.search_space import Range, SearchSpace
from digit_recognizer.training.tuning.storage import require_optuna, storage
from digit_recognizer.utils.locks import alive, is_alive

COUNTED = ("complete", "pruned", "diverged", "running")  # states of the trials that a study was asked for
_DRAWS = 5  # in a row that may repeat what was tried
_STARTUP = 5  # finished trials before any is pruned: a median of fewer says little
_STEPS = 10  # of a trial, at which it is compared with others: tenths of its first fold's training
_SPARED = 2  # steps in which none is pruned: "triangle" warms up for as long


@dataclass(frozen=True, eq=False)
class Study:
    """An open study, to which this process adds trials."""

    optuna: Any  # the study as Optuna has it
    space: SearchSpace
    ledger: Ledger
    folder: Path  # of its journal
    worker: str  # names the lock file that this process holds


@contextmanager
def open_study(space: SearchSpace, hashes: dict[str, str], ledger: Ledger, folder: Path) -> Iterator[Study]:
    """The study of a space, made if need be; `hashes` are those of the files that its trials are trained on.

    Raises InputError when the study was begun with another space or data, RunError when its journal is damaged or
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
    with alive(_worker_lock(folder, space.name, worker), f"{worker} is another's."):
        yield Study(study, space, ledger, folder, worker)


def ask(study: Study, n_trials: int) -> Any:
    """Draw the next trial, with values that were not tried before.

    None when the study has, or will have, as many trials as wanted, or when no other values are left.
    """
    with _lock(study.folder, study.space.name):
        _close_lost_trials(study)
        known = study.optuna.get_trials(deepcopy=False)
        counted = [trial for trial in known if trial_of(trial).state in COUNTED]
        if len(counted) >= n_trials:
            return None
        lost_again = [
            trial for trial in known if trial_of(trial).state == "interrupted" and "again" in trial.user_attrs
        ]
        tried = [_rounded(trial.params) for trial in (*counted, *lost_again)]
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
        else:  # the sampler is sure of what is best and draws nothing else: any of what is left, then
            study.optuna.enqueue_trial(Random(number).choice(left or [{}]))
            trial = _draw_trial(study, number + 1)
        trial.set_user_attr("worker", study.worker)
        return trial


def _draw_trial(study: Study, number: int) -> Any:
    optuna = require_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # Optuna 4, of constant_liar
        # A seed for each trial: after a kill, and in another process, the same draws would come again. The liar
        # keeps processes at once from drawing near each other; for one alone it changes nothing.
        study.optuna.sampler = optuna.samplers.TPESampler(
            seed=(study.space.recipe.seed + number) % 2**32, multivariate=False, constant_liar=True
        )
    trial = study.optuna.ask()
    for field, dimension in study.space.dimensions.items():
        _suggest(trial, field, dimension)
    return trial


def report(trial: Any, value: float, epoch: int, n_epochs: int) -> bool:
    """Report a trial's value after an epoch of its training; whether to prune it.

    A trial is pruned when its best value so far is worse than the median of the finished trials at the same step. Steps
    are tenths of the training, so that trials of few and of many epochs can be compared.
    """
    steps = [step for step in range(1, _STEPS + 1) if step * n_epochs // _STEPS == epoch]
    for step in steps:
        trial.report(value, step)
    return bool(steps and trial.should_prune())


def finish(study: Study, trial: Any, value: float) -> bool:
    """Close a trial by its objective's value; whether it is the best so far."""
    study.optuna.tell(trial, value)
    return bool(study.optuna.best_trial.number == trial.number)


def close(study: Study, trial: Any, state: str) -> None:
    """Close a trial that has no value: pruned, diverged or interrupted."""
    states = require_optuna().trial.TrialState
    if state == "diverged":
        trial.set_user_attr("diverged", True)
    study.optuna.tell(trial, state=states.PRUNED if state == "pruned" else states.FAIL)


def _check_same(study: Any, wanted: dict[str, Any], which: str) -> None:
    """Store the settings of a new study. Raises InputError when an older one was begun with others."""
    begun = study.user_attrs.get("begun")
    if begun is None:
        study.set_user_attr("begun", wanted)
        return
    before = {**begun, "recipe": search_space.recipe_record(from_record(begun["recipe"]))}  # perhaps of fewer fields
    if changed := ", ".join(_changes(before, wanted)):
        raise InputError(
            f"{which} was begun with other settings ({changed}), and its trials cannot be compared with new ones. Undo "
            "that, or save the file under another name for a new study."
        )


def _changes(begun: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """The differences in words, nested ones included."""
    for key in {**begun, **wanted}:
        before, now = begun.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _changes(before, now)
        elif before != now:
            yield f"{key}: then {before}, now {now}"


def _rounded(params: dict[str, Any]) -> dict[str, Any]:
    """Values that can be compared: a step taken three times is not quite three steps."""
    return {field: f"{value:.9g}" if isinstance(value, float) else value for field, value in params.items()}


def _suggest(trial: Any, field: str, dimension: search_space.Dimension) -> None:
    if not isinstance(dimension, Range):
        trial.suggest_categorical(field, dimension)
    elif isinstance(dimension.low, int):
        trial.suggest_int(field, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log)
    else:
        trial.suggest_float(field, dimension.low, dimension.high, step=dimension.step, log=dimension.log)


def _close_lost_trials(study: Study) -> None:
    """Close the trials of processes that died: by their rows in the ledger if those are done, else to be tried again.

    A trial that was lost twice is not tried again, as it may be what kills the process. The study's lock must be held,
    so that each running trial has its worker's name.
    """
    optuna = require_optuna()
    states = optuna.trial.TrialState
    running = study.optuna.get_trials(deepcopy=False, states=[states.RUNNING])
    gone = {trial.number for trial in running if not _is_alive(study, trial)}
    known = study.optuna.get_trials(deepcopy=False)  # read again: a worker closes its trial before it ends
    lost = [trial for trial in known if trial.number in gone and trial.state == states.RUNNING]
    rows = {run.name: run for run in study.ledger.runs()} if lost else {}
    for trial in lost:
        row = rows.get(trial.user_attrs.get("run"))
        if row is not None and row.status == "done":  # killed between the two last steps
            study.optuna.tell(trial.number, objective_of(row.validation, study.space.objective))
            continue
        if row is not None and row.status == "pruned":
            study.optuna.tell(trial.number, state=states.PRUNED)
            continue
        if row is not None and row.status == "running":
            study.ledger.finish_run(row.id, "interrupted")
        is_known = "again" in trial.user_attrs or any(
            other.user_attrs.get("again") == trial.number
            for other in known  # killed right after the next line
        )
        if trial.params and not is_known:
            study.optuna.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        study.optuna.tell(trial.number, state=states.FAIL)


def _is_alive(study: Study, trial: Any) -> bool:
    worker = trial.user_attrs.get("worker")
    return worker is not None and is_alive(_worker_lock(study.folder, study.space.name, worker))


def _lock(folder: Path, name: str) -> FileLock:
    """The lock of a study, held while a process opens it or asks for a trial."""
    return FileLock(folder / f"{name}.lock", timeout=60)


def _worker_lock(folder: Path, name: str, worker: str) -> Path:
    return folder / f"{name}.{worker}.worker"
