"""The study behind a sweep: what Optuna drew, what came of it, and which fields matter.

A study is one journal, `submissions/sweeps/<name>.journal`, to which any number of processes add trials. Optuna is
loaded only here, when it is needed. Refuses to know how a trial is trained.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.recipes.recipe import from_record
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Ledger, Row
from digit_recognizer.training.tuning import search_space
from digit_recognizer.training.tuning.search_space import Range, SearchSpace
from digit_recognizer.training.tuning.storage import require_optuna, storage
from digit_recognizer.utils.locks import alive, in_turn, is_alive

SWEEPS = run_dir.SUBMISSIONS / "sweeps"

COUNTED = ("complete", "pruned", "diverged", "running")  # states of the trials that a study was asked for
_N_SUMMARISED = 10  # trials of a study: the best
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
    worker: str  # names the lock file that says that this process lives


@dataclass(frozen=True)
class StudyResults:
    """What came of a study.

    A trial is {trial, run, state, value, params}: `run` its name in the ledger, `value` the cross-validated
    objective, None unless the state is complete; the other states are pruned, diverged, interrupted, running, waiting.
    """

    objective: str  # accuracy or loss
    trials: list[dict[str, Any]]  # in order
    ranked: list[dict[str, Any]]  # the complete ones, the best first


@contextmanager
def open_study(chosen: SearchSpace, data: dict[str, str], book: Ledger) -> Iterator[Study]:
    """The study of a space, made if need be; `data` tells the files its trials are trained on.

    Raises InputError when the study was begun with another space or data, RunError when its journal is damaged or
    Optuna is not installed.
    """
    wanted = {**search_space.to_record(chosen), **data}
    path = journal_of(chosen.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with in_turn(path.with_suffix(".lock")):
        study = require_optuna().create_study(
            storage=storage(path),
            study_name=chosen.name,
            direction="maximize" if chosen.objective == "accuracy" else "minimize",
            load_if_exists=True,
        )
        _check_same(study, wanted, f"{chosen.file}: the study {chosen.name}")
    pruners = require_optuna().pruners
    study.pruner = pruners.MedianPruner(_STARTUP, n_warmup_steps=_SPARED + 1, n_min_trials=_STARTUP)
    worker = uuid4().hex
    with alive(_sign_of(chosen.name, worker), f"{worker} is another's."):
        yield Study(study, chosen, book, worker)


def ask(study: Study, n_trials: int) -> Any:
    """The next trial, its values drawn and not tried before.

    None when the study has, or will have, as many trials as wanted, or when no other values are left.
    """
    with in_turn(journal_of(study.space.name).with_suffix(".lock")):
        _take_back(study)
        known = study.optuna.get_trials(deepcopy=False)
        counted = [trial for trial in known if _record(trial)["state"] in COUNTED]
        if len(counted) >= n_trials:
            return None
        lost_again = [
            trial for trial in known if _record(trial)["state"] == "interrupted" and "again" in trial.user_attrs
        ]
        tried = [_rounded(trial.params) for trial in (*counted, *lost_again)]
        left = search_space.combinations(study.space)
        left = left and [values for values in left if _rounded(values) not in tried]
        if left == []:
            return None
        for number in range(len(known), len(known) + _DRAWS):
            trial = _drawn(study, number)
            if _rounded(trial.params) not in tried:
                break
            trial.set_user_attr("repeats", True)
            study.optuna.tell(trial, state=require_optuna().trial.TrialState.FAIL)
        else:  # the sampler is sure of what is best and draws nothing else: any of what is left, then
            study.optuna.enqueue_trial(Random(number).choice(left or [{}]))
            trial = _drawn(study, number + 1)
        trial.set_user_attr("worker", study.worker)
        return trial


def _drawn(study: Study, number: int) -> Any:
    optuna = require_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # Optuna 4, of constant_liar
        # A seed for each trial: after a kill, and in another process, the same draws would come again. The liar
        # keeps processes at once from drawing near each other; for one alone it changes nothing.
        study.optuna.sampler = optuna.samplers.TPESampler(
            seed=(study.space.recipe.seed + number) % 2**32, multivariate=False, constant_liar=True
        )
    trial = study.optuna.ask()
    for field, axis in study.space.axes.items():
        _draw(trial, field, axis)
    return trial


def report(trial: Any, value: float, epoch: int, n_epochs: int) -> bool:
    """Note how a trial does after an epoch of its training; whether it is not worth going on.

    It is not when the best it did so far is worse than the median of what the finished trials did then. Optuna compares
    equal steps alone, so the steps are tenths of the training, each with the value of the last epoch until then: trials
    of few and of many epochs are compared equally far.
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


def study_results(name: str) -> StudyResults:
    """What came of a study. Raises InputError when there is none of that name, RunError without Optuna."""
    study = _load(name)
    drawn = study.get_trials(deepcopy=False)
    trials = [_record(trial) for trial in drawn if "repeats" not in trial.user_attrs]
    objective = study.user_attrs["begun"]["objective"]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    ranked = sorted(complete, key=lambda trial: float(trial["value"]), reverse=objective == "accuracy")
    return StudyResults(objective, trials, ranked)


def importance(name: str) -> dict[str, float]:
    """How much of the objective's spread each field explains (fANOVA, Hutter et al. 2014), the most first; sum 1.

    Empty with fewer than two complete trials of unlike value. Raises as `findings`.
    """
    optuna, study = require_optuna(), _load(name)
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    if len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(part) for field, part in found.items()}


def summaries() -> list[dict[str, Any]]:
    """For each study the importance of its fields and its best trials; the reason for one that cannot be read.

    Returns records {name, reason} and, where the reason is empty, {objective, n_trials, n_done, importance, fields,
    best}.
    """
    found: list[dict[str, Any]] = []
    for journal in sorted(SWEEPS.glob("*.journal")):
        try:
            study, parts = study_results(journal.stem), importance(journal.stem)
        except (InputError, RunError) as error:
            found.append({"name": journal.stem, "reason": str(error)})
            continue
        best = study.ranked[:_N_SUMMARISED]
        fields = sorted({field for trial in best for field in trial["params"]}, key=lambda field: -parts.get(field, 0))
        record = {
            "name": journal.stem,
            "reason": "",
            "objective": study.objective,
            "n_trials": len(study.trials),
            "n_done": len(study.ranked),
        }
        found.append(record | {"importance": parts, "fields": fields, "best": best})
    return found


def journal_of(name: str) -> Path:
    """Where the study of that name lies."""
    return SWEEPS / f"{name}.journal"


def _check_same(study: Any, wanted: dict[str, Any], which: str) -> None:
    """Sign a new study with what its trials are of. Raises InputError when an older one was begun with other things."""
    begun = study.user_attrs.get("begun")
    if begun is None:
        study.set_user_attr("begun", wanted)
        return
    before = {**begun, "recipe": search_space.recipe_record(from_record(begun["recipe"]))}  # perhaps of fewer fields
    if changed := ", ".join(_changes(before, wanted)):
        raise InputError(
            f"{which} was begun otherwise ({changed}), and its trials cannot be compared with new ones. Undo that, or "
            "save the file under another name for a new study."
        )


def _changes(begun: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """What is not as it was, in words; tables are looked into."""
    for key in {**begun, **wanted}:
        before, now = begun.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _changes(before, now)
        elif before != now:
            yield f"{key}: then {before}, now {now}"


def _rounded(params: dict[str, Any]) -> dict[str, Any]:
    """Values that can be compared: a step taken three times is not quite three steps."""
    return {field: f"{value:.9g}" if isinstance(value, float) else value for field, value in params.items()}


def _draw(trial: Any, field: str, axis: search_space.Dimension) -> None:
    if not isinstance(axis, Range):
        trial.suggest_categorical(field, axis)
    elif isinstance(axis.low, int):
        trial.suggest_int(field, axis.low, axis.high, step=axis.step or 1, log=axis.log)
    else:
        trial.suggest_float(field, axis.low, axis.high, step=axis.step, log=axis.log)


def _take_back(study: Study) -> None:
    """Close the trials of processes that are gone: by their rows in the ledger if those are done, else to be tried
    again. One that was lost twice is not: it may be what kills.

    The study's lock must be held, so that no trial is found between being asked for and being signed.
    """
    optuna = require_optuna()
    states = optuna.trial.TrialState
    known = study.optuna.get_trials(deepcopy=False)
    lost = [trial for trial in known if trial.state == states.RUNNING and not _lives(study.space.name, trial)]
    rows = {row["name"]: row for row in study.ledger.runs()} if lost else {}
    for trial in lost:
        row = rows.get(trial.user_attrs.get("run"))
        if row is not None and row["status"] == "done":  # killed between the two last steps
            study.optuna.tell(trial.number, _value(row, study.space.objective))
            continue
        if row is not None and row["status"] == "pruned":
            study.optuna.tell(trial.number, state=states.PRUNED)
            continue
        if row is not None and row["status"] == "running":
            study.ledger.finish_run(row["id"], "interrupted")
        is_known = "again" in trial.user_attrs or any(
            other.user_attrs.get("again") == trial.number
            for other in known  # killed right after the next line
        )
        if trial.params and not is_known:
            study.optuna.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        study.optuna.tell(trial.number, state=states.FAIL)


def _lives(name: str, trial: Any) -> bool:
    worker = trial.user_attrs.get("worker")
    return worker is not None and is_alive(_sign_of(name, worker))


def _record(trial: Any) -> dict[str, Any]:
    state = trial.state.name.lower()
    if state == "fail":
        state = "diverged" if "diverged" in trial.user_attrs else "interrupted"
    return {
        "trial": trial.number,
        "run": trial.user_attrs.get("run"),
        "state": state,
        "value": trial.value if state == "complete" else None,
        "params": dict(trial.params),
    }


def _value(row: Row, objective: str) -> float:
    return float(row["correct"] / row["n"] if objective == "accuracy" else row["loss"])


def _sign_of(name: str, worker: str) -> Path:
    return SWEEPS / f"{name}.{worker}.worker"


def _load(name: str) -> Any:
    if journal_of(name).exists():
        with suppress(KeyError):  # a journal without a study, or one that is not signed: killed right at its begin
            study = require_optuna().load_study(study_name=name, storage=storage(journal_of(name)))
            if "begun" in study.user_attrs:
                return study
    there = ", ".join(sorted(path.stem for path in SWEEPS.glob("*.journal"))) or "none"
    raise InputError(f"there is no study {name!r} in {SWEEPS}. Those there: {there}. `digits sweep` begins one.")
