"""The trials of a study and the importance of its fields. Optuna is loaded by the calls."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.training.tuning.storage import require_optuna, storage


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
    """A study for the report, or the `error` for which it cannot be read."""

    name: str
    error: str = ""
    results: StudyResults | None = None
    importance: dict[str, float] = field(default_factory=dict)


def study_results(sweeps: Path, name: str) -> StudyResults:
    """The results of a study in the folder `sweeps`.

    Raises InputError when there is no such study, RunError when Optuna is not installed.
    """
    study = _load(sweeps, name)
    drawn = study.get_trials(deepcopy=False)
    trials = tuple(trial_of(trial) for trial in drawn if "repeats" not in trial.user_attrs)
    objective = study.user_attrs["begun"]["objective"]
    complete = [trial for trial in trials if trial.state == "complete"]
    ranked = sorted(complete, key=lambda trial: float(trial.value or 0.0), reverse=objective == "accuracy")
    return StudyResults(objective, trials, tuple(ranked))


def importance(sweeps: Path, name: str) -> dict[str, float]:
    """The share of the objective's variance that each field explains, the largest first (fANOVA, Hutter et al. 2014).

    Empty with fewer than two complete trials of different values. Raises as `study_results`.
    """
    optuna, study = require_optuna(), _load(sweeps, name)
    complete = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    if len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(part) for field, part in found.items()}


def summaries(sweeps: Path) -> list[StudySummary]:
    """All studies of a folder."""
    found = []
    for name in _names(sweeps):
        try:
            summary = StudySummary(name, results=study_results(sweeps, name), importance=importance(sweeps, name))
        except (InputError, RunError) as error:
            summary = StudySummary(name, str(error))
        found.append(summary)
    return found


def journal_of(sweeps: Path, name: str) -> Path:
    """The journal of a study."""
    return sweeps / f"{name}.journal"


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
        with suppress(KeyError):  # the process was killed before it had written the study and its settings
            study = require_optuna().load_study(study_name=name, storage=storage(path))
            if "begun" in study.user_attrs:
                return study
    names = ", ".join(_names(sweeps)) or "none"
    raise InputError(f"no study {name!r} in {sweeps}; found: {names}. `digits sweep` creates one.")


def _names(sweeps: Path) -> list[str]:
    return sorted(journal.stem for journal in sweeps.glob("*.journal"))
