"""A sweep: recipes drawn from a space, each trained as a run and cross-validated on train.csv."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from digit_recognizer.data.dataset import Dataset
from digit_recognizer.errors import DivergedError, InputError
from digit_recognizer.recipes.recipe import change
from digit_recognizer.recipes.toml import describe_settings
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_session import PrunedError, finish_run, open_run
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import cross_validation
from digit_recognizer.training.ensemble import run_header, train_ensemble, write_results
from digit_recognizer.training.parallel.config import IN_PROCESS, ExecutionConfig, open_pool
from digit_recognizer.training.parallel.process_pool import Pool
from digit_recognizer.training.tuning import search_space, study
from digit_recognizer.training.tuning.results import Trial, journal_of, study_results
from digit_recognizer.training.tuning.search_space import SearchSpace
from digit_recognizer.training.tuning.storage import require_optuna
from digit_recognizer.training.tuning.study import Study
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.reporter import SILENT, Reporter, TrainingHooks


@dataclass(frozen=True)
class SweepResult:
    """The progress of a study, and its best trial."""

    study: str
    objective: str
    journal: Path
    trials: dict[str, int]  # by state
    best: Trial | None
    again: str | None  # the command that trains the best recipe with fresh folds and weights


def read_space(file: Path) -> SearchSpace:
    """The space of a sweep's file.

    Raises InputError when the file is wrong or Keras has no backend, RunError when Optuna is not installed.
    """
    space = search_space.load(file)
    if space.recipe.teacher:
        raise InputError(
            f"{file}: sweeps do not support a teacher. Remove it, then train the best recipe with the teacher."
        )
    require_optuna()
    require_backend()
    return space


def sweep(
    space: SearchSpace,
    n_trials: int,
    data: Dataset,
    workspace: Workspace,
    hours: float | None = None,
    execution: ExecutionConfig = IN_PROCESS,
    reporter: Reporter = SILENT,
) -> SweepResult:
    """Add trials to the study of a space until it has `n_trials`, including those of other processes, or time is up.

    Finished, pruned and diverged trials count; interrupted and killed ones do not. Raises InputError, before anything
    is written, when the data is invalid or the study was created with other settings.
    """
    end = time.monotonic() + 3600 * hours if hours is not None else None
    if not journal_of(workspace.sweeps, space.name).exists():
        cross_validation.plan_networks(space.recipe, data.train.labels)  # raises for too many folds
    execution = execution.limited_to(cross_validation.n_networks(space.recipe))
    hashes = {"train.csv": data.train.fingerprint, "test.csv": data.test.fingerprint}
    with (
        workspace.open_ledger(reporter) as ledger,
        study.open_study(space, hashes, workspace.sweeps) as opened,
        open_pool(execution, data.train, data.test, reporter) as pool,
    ):
        runner = _Sweep(opened, ledger, data, workspace.relative(data.source.place), execution, pool, reporter)
        while in_time := end is None or time.monotonic() < end:
            if (trial := study.ask(opened, n_trials)) is None:
                break
            runner.run_trial(trial)
    result = _summary(space, workspace)
    if in_time and sum(n for state, n in result.trials.items() if state in study.COUNTED) < n_trials:
        reporter.info("No other values are left in the space: all have been tried.")
    return result


@dataclass(frozen=True, eq=False)
class _Sweep:
    study: Study
    ledger: Ledger
    data: Dataset
    data_place: str
    execution: ExecutionConfig
    pool: Pool | None
    reporter: Reporter

    def run_trial(self, trial: Any) -> None:
        """Train a trial and close it in the study. Errors other than divergence are raised."""
        try:
            value = self._train(trial)
        except PrunedError as pruned:
            study.close(self.study, trial, "pruned")
            outcome, note = str(pruned), ""
        except DivergedError:
            study.close(self.study, trial, "diverged")
            outcome, note = "diverged", ""
        except BaseException:
            study.close(self.study, trial, "interrupted")
            raise
        else:
            note = "  (best so far)" if study.finish(self.study, trial, value) else ""
            outcome = f"{self.study.space.objective} {value:.4f}"
        self.reporter.info(f"trial {trial.number}: {outcome}, {describe_settings(trial.params)}{note}")

    def _train(self, trial: Any) -> float:
        """The value of a trial. Raises PrunedError when the trial is pruned in its first fold."""
        start = time.perf_counter()
        space, data = self.study.space, self.data
        recipe = self.execution.with_threads(change(space.recipe, trial.params))
        networks = cross_validation.plan_networks(recipe, data.train.labels)
        header = run_header("trial", space.name, recipe, data, self.data_place, self.pool)
        epochs = {network.name: network.recipe.epochs for network in networks}
        with (
            open_run(self.ledger, f"{space.name}-{trial.number}", header) as run,
            self.reporter.training(epochs, f"trial {trial.number}") as shown,
        ):
            trial.set_user_attr("run", run.name)
            hooks = _Pruning(shown, trial, networks[0].name, epochs[networks[0].name], space.objective)
            predictions = train_ensemble(run, networks, data, pool=self.pool, hooks=hooks, resumable=False)
            result = write_results(run, header, data, predictions)
            seconds = {**predictions.seconds, "total": time.perf_counter() - start}
            finish_run(run, replace(result, seconds=seconds), is_out_of_fold=True)
        value: float = getattr(result.validation, "log_loss" if space.objective == "loss" else "accuracy")
        return value


@dataclass(frozen=True)
class _Pruning(TrainingHooks):
    """Reports the first fold of a trial to the study, which may prune the trial."""

    shown: TrainingHooks
    trial: Any
    network: str
    n_epochs: int
    objective: str

    def on_batch(self, network: str, step: int, n_steps: int) -> None:
        self.shown.on_batch(network, step, n_steps)

    def on_epoch(self, network: str, epoch: Epoch) -> None:
        self.shown.on_epoch(network, epoch)
        value = getattr(epoch, f"validation_{self.objective}")
        if network == self.network and study.report(self.trial, value, epoch.epoch, self.n_epochs):
            raise PrunedError(f"pruned after epoch {epoch.epoch} of its first fold at {self.objective} {value:.4f}")

    def on_network(self, network: str, metrics: Any) -> None:
        self.shown.on_network(network, metrics)


def _summary(space: SearchSpace, workspace: Workspace) -> SweepResult:
    found = study_results(workspace.sweeps, space.name)
    states = [trial.state for trial in found.trials]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    best = found.ranked[0] if found.ranked else None
    again = (
        None if best is None else f"digits run --from-run {best.run} --seed {space.recipe.seed + space.recipe.seeds}"
    )
    return SweepResult(space.name, space.objective, journal_of(workspace.sweeps, space.name), counts, best, again)
