"""The trials of a study and the importance of its fields. Optuna is loaded by the calls."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.evaluation.metrics import Validation
from digit_recognizer.training.tuning.storage import require_optuna, storage

_N_SUMMARISED = 10  # trials of a study: the best


@dataclass(frozen=True)
class Trial:
    """A trial of a study."""

    trial: int  # its number
    run: str | None  # its name in the ledger
    state: str  # complete, pruned, diverged, interrupted, running or waiting
    value: float | None  # the cross-validated objective of a complete one
    params: dict[str, Any]


@dataclass(frozen=True)
class StudyResults:
    """The trials of a study."""

    objective: str  # accuracy or loss
    trials: tuple[Trial, ...]  # in order
    ranked: tuple[Trial, ...]  # the complete ones, the best first


@dataclass(frozen=True)
class StudySummary:
    """A study for the report; `reason` says why one cannot be read, and is empty otherwise."""

    name: str
    reason: str
    objective: str = ""
    n_trials: int = 0
    n_done: int = 0
    importance: dict[str, float] | None = None
    fields: tuple[str, ...] = ()  # the most important first
    best: tuple[Trial, ...] = ()


def study_results(sweeps: Path, name: str) -> StudyResults:
    """The results of a study whose journal lies in the folder `sweeps`.

    Raises InputError when there is none of that name, RunError without Optuna.
    """
    study = _load(sweeps, name)
    drawn = study.get_trials(deepcopy=False)
    trials = tuple(trial_of(trial) for trial in drawn if "repeats" not in trial.user_attrs)
    objective = study.user_attrs["begun"]["objective"]
    complete = [trial for trial in trials if trial.state == "complete"]
    ranked = sorted(complete, key=lambda trial: float(trial.value or 0.0), reverse=objective == "accuracy")
    return StudyResults(objective, trials, tuple(ranked))


def importance(sweeps: Path, name: str) -> dict[str, float]:
    """The part of the objective's variance that each field explains, the largest first (fANOVA, Hutter et al. 2014).

    Empty with fewer than two complete trials of different value. Raises as `study_results`.
    """
    optuna, study = require_optuna(), _load(sweeps, name)
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    if len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(part) for field, part in found.items()}


def summaries(sweeps: Path) -> list[StudySummary]:
    """All studies of a folder, each with the importance of its fields and its best trials."""
    found = []
    for journal in sorted(sweeps.glob("*.journal")):
        name = journal.stem
        try:
            study, parts = study_results(sweeps, name), importance(sweeps, name)
        except (InputError, RunError) as error:
            found.append(StudySummary(name, str(error)))
            continue
        best = study.ranked[:_N_SUMMARISED]
        fields = sorted({field for trial in best for field in trial.params}, key=lambda field: -parts.get(field, 0))
        n_trials, n_done = len(study.trials), len(study.ranked)
        found.append(StudySummary(name, "", study.objective, n_trials, n_done, parts, tuple(fields), best))
    return found


def journal_of(sweeps: Path, name: str) -> Path:
    """The journal of a study."""
    return sweeps / f"{name}.journal"


def objective_of(validation: Validation | None, objective: str) -> float:
    """The value of a trial. Raises RunError for one without validation."""
    if validation is None:
        raise RunError("a finished trial has no validation.")
    return validation.accuracy if objective == "accuracy" else validation.log_loss


def trial_of(trial: Any) -> Trial:
    """The record of one of Optuna's trials."""
    state = trial.state.name.lower()
    if state == "fail":
        state = "diverged" if "diverged" in trial.user_attrs else "interrupted"
    value = trial.value if state == "complete" else None
    return Trial(trial.number, trial.user_attrs.get("run"), state, value, dict(trial.params))


def _load(sweeps: Path, name: str) -> Any:
    path = journal_of(sweeps, name)
    if path.exists():
        with suppress(KeyError):  # a journal without a study, or without its settings: killed right at its begin
            study = require_optuna().load_study(study_name=name, storage=storage(path))
            if "begun" in study.user_attrs:
                return study
    there = ", ".join(sorted(journal.stem for journal in sweeps.glob("*.journal"))) or "none"
    raise InputError(f"there is no study {name!r} in {sweeps}. Those there: {there}. `digits sweep` begins one.")
