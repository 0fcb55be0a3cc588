"""`digits sweep`: recipes drawn from a space, each trained as a run of its own and judged out-of-fold.

Refuses to know answers: a trial is judged by train.csv alone.
"""

import time
from pathlib import Path
from typing import Any

from digit_recognizer.errors import DivergedError, InputError
from digit_recognizer.recipes.recipe import change
from digit_recognizer.recipes.toml import format_value
from digit_recognizer.tracking import run_session
from digit_recognizer.tracking.run_session import Pruned
from digit_recognizer.training import cross_validation, ensemble
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.training.parallel import config, process_pool
from digit_recognizer.training.parallel.config import IN_PROCESS, ExecutionConfig
from digit_recognizer.training.state import Epoch
from digit_recognizer.training.tuning import search_space
from digit_recognizer.training.tuning import study as studies
from digit_recognizer.training.tuning.search_space import SearchSpace
from digit_recognizer.training.tuning.storage import require_optuna
from digit_recognizer.training.tuning.study import Study
from digit_recognizer.utils.console import progress, say
from digit_recognizer.utils.environment import require_backend


def read_space(file: Path) -> SearchSpace:
    """The space of a sweep's file.

    Raises InputError when the file is wrong or Keras has no backend, RunError when Optuna is not installed.
    """
    chosen = search_space.load(file)
    if chosen.recipe.teacher:
        raise InputError(f"{file}: teacher: a sweep trains without one. Leave it out, and have the best recipe taught.")
    require_optuna()
    require_backend()
    return chosen


def sweep(
    chosen: SearchSpace,
    n_trials: int,
    data: ensemble.Data,
    hours: float | None = None,
    where: ExecutionConfig = IN_PROCESS,
) -> dict[str, Any]:
    """Add trials to the study of a space until it has `n_trials`, those of other processes included, or time is up.

    A trial that finished, was pruned or diverged counts; one that was interrupted or killed does not, and the killed
    one is tried again. Returns the record that `--json` prints. Raises InputError, before anything is written, when
    the data is wrong or the study was begun with others.
    """
    end = time.monotonic() + 3600 * hours if hours is not None else None
    if not studies.journal_of(chosen.name).exists():
        cross_validation.plan_networks(
            chosen.recipe, data.train.labels
        )  # refuses too many folds before anything is written
    where = where.used_by(cross_validation.n_networks(chosen.recipe))
    hashes = {"train.csv": data.train.fingerprint, "test.csv": data.test.fingerprint}
    with (
        run_session.ledger() as book,
        studies.open_study(chosen, hashes, book) as study,
        config.open_pool(where, data.train, data.test) as pool,
    ):
        while in_time := end is None or time.monotonic() < end:
            if (trial := studies.ask(study, n_trials)) is None:
                break
            _try(study, data, trial, where, pool)
    result = _summary(chosen)
    if in_time and sum(n for state, n in result["trials"].items() if state in studies.COUNTED) < n_trials:
        say("No other values are left in the space: all that were drawn have been tried.")
    return result


def show(result: dict[str, Any]) -> None:
    """Print how far the study is, its best trial, and how to repeat that."""
    counts = ", ".join(f"{n} {state}" for state, n in result["trials"].items())
    say(f"Study {result['study']}: {counts or 'no trials'}.")
    if best := result["best"]:
        judged = f"{result['objective']} {best['value']:.4f}"
        say(f"Best: trial {best['trial']}, {judged}, {_words(best['params'])}.", style="bold")
        say(f"Was it luck? With fresh folds and weights: {result['again']}")


def _try(study: Study, data: ensemble.Data, trial: Any, where: ExecutionConfig, pool: process_pool.Pool | None) -> None:
    """Train and judge one trial, enter it, tell its outcome to the study and the terminal.

    What is wrong with its recipe alone ends the trial; all else ends the sweep.
    """
    try:
        value = _train(study, data, trial, where, pool)
    except Pruned as pruned:
        studies.close(study, trial, "pruned")
        outcome, note = str(pruned), ""
    except DivergedError:
        studies.close(study, trial, "diverged")
        outcome, note = "diverged", ""
    except BaseException:
        studies.close(study, trial, "interrupted")
        raise
    else:
        note = "  (best so far)" if studies.finish(study, trial, value) else ""
        outcome = f"{study.space.objective} {value:.4f}"
    say(f"trial {trial.number}: {outcome}, {_words(trial.params)}{note}")


def _train(
    study: Study, data: ensemble.Data, trial: Any, where: ExecutionConfig, pool: process_pool.Pool | None
) -> float:
    """The value of a trial, trained as a run is; raises Pruned when its first fold promises too little."""
    start = time.perf_counter()
    name, objective = study.space.name, study.space.objective
    recipe = where.with_threads(change(study.space.recipe, trial.params))
    members = cross_validation.plan_networks(recipe, data.train.labels)
    facts = ensemble.facts("trial", name, recipe, data, pool)
    with run_session.open_run(study.ledger, f"{name}-{trial.number}", **facts) as entry:
        trial.set_user_attr("run", entry.name)
        epochs = {member.name: member.recipe.epochs for member in members}
        with progress(epochs, f"trial {trial.number}", side_by_side=pool is not None) as lines:

            def on_epoch(member: NetworkSpec, epoch: Epoch) -> None:
                lines.on_epoch(member.name, epoch)
                value = getattr(epoch, f"validation_{objective}")
                is_first = member is members[0]
                if is_first and studies.report(trial, value, epoch.epoch, member.recipe.epochs):
                    raise Pruned(f"pruned after epoch {epoch.epoch} of its first fold at {objective} {value:.4f}")

            together = ensemble.train_ensemble(entry, members, data, lines.on_batch, on_epoch, pool=pool)
        result = ensemble.write_results(entry, name, recipe, data, together)
        seconds = {**together.seconds, "total": time.perf_counter() - start}
        result["seconds"] = {part: round(value, 3) for part, value in seconds.items()}
        run_session.finish(entry, result, "out-of-fold", publish=False)
    return float(result["validation"][objective])


def _summary(chosen: SearchSpace) -> dict[str, Any]:
    found = studies.study_results(chosen.name)
    states = [trial["state"] for trial in found.trials]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    best = found.ranked[0] if found.ranked else None
    return {
        "study": chosen.name,
        "objective": chosen.objective,
        "journal": str(studies.journal_of(chosen.name)),
        "trials": counts,
        "best": best,
        "again": best and f"digits run --like {best['run']} --seed {chosen.recipe.seed + chosen.recipe.seeds}",
    }


def _words(params: dict[str, Any]) -> str:
    short = {
        field: f"{value:.3g}" if isinstance(value, float) else format_value(value) for field, value in params.items()
    }
    return ", ".join(f"{field} {value}" for field, value in short.items())
