"""`digits sweep`: recipes drawn by Optuna from a space, each trained as a run of its own and judged out-of-fold.

A study is one journal, `submissions/sweeps/<name>.journal`, to which any number of processes add trials. Optuna is
loaded only here, when it is needed. Refuses to know answers: a trial is judged by train.csv alone.
"""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from . import bookkeeping, fetching, runs, sources, space, training
from .bookkeeping import Pruned
from .errors import Diverged, InputError, RunError
from .ledger import Ledger, Row
from .lock import held, in_turn
from .recipes import change, from_record, plain
from .space import Range, Space
from .terminal import progress, say

if TYPE_CHECKING:
    from .crossval import Member
    from .train import Epoch

SWEEPS = runs.SUBMISSIONS / "sweeps"

_STARTUP = 5  # finished trials before any is pruned: a median of fewer says little
_WHOLE = 100_000  # the last step of a trial: more than the epochs of any recipe
_SPARED = 0.2  # part of a training in which none is pruned: "triangle" warms up for as long


@dataclass(frozen=True, eq=False)
class _Work:
    """A study that this process works on."""

    study: Any
    space: Space
    data: training.Data
    book: Ledger
    worker: str  # the name of its lock file, held as long as it lives


def sweep(file: Path, n_trials: int, hours: float | None = None, data: Path | None = None) -> dict[str, Any]:
    """Add trials to the study of `file` until it has `n_trials`, those of other processes included, or time is up.

    A trial that finished, was pruned or diverged counts; one that was interrupted or killed does not, and the killed
    one is tried again. Returns the record that `--json` prints. Raises InputError, before anything is written, when
    the file or the data is wrong or the study was begun with others; RunError when Optuna is not installed.
    """
    end = time.monotonic() + 3600 * hours if hours is not None else None
    chosen = space.load(file)
    _optuna()
    source = fetching.find_data(data)
    read = training.Data(source, *sources.read(source))
    study = _begin(chosen, read, file)
    with bookkeeping.ledger() as book, _alive(chosen.name) as worker:
        work = _Work(study, chosen, read, book, worker)
        while (end is None or time.monotonic() < end) and (trial := _ask(work, n_trials)) is not None:
            _try(work, trial)
    return _summary(study, data)


def trials(name: str) -> list[dict[str, Any]]:
    """A record for each trial of a study, in order: {trial, run, state, value, params}.

    `run` is its name in the ledger; `value` is the cross-validated objective, None unless the state is complete; the
    other states are pruned, diverged, interrupted, running and waiting. Raises InputError when there is no such
    study, RunError when Optuna is not installed.
    """
    return [_record(trial) for trial in _load(name).get_trials(deepcopy=False)]


def importance(name: str) -> dict[str, float]:
    """How much of the objective's spread each field explains (fANOVA, Hutter et al. 2014), the most first; sum 1.

    Empty with fewer than two finished trials. Raises InputError when there is no such study, RunError when Optuna is
    not installed.
    """
    optuna, study = _optuna(), _load(name)
    if sum(record["state"] == "complete" for record in map(_record, study.get_trials(deepcopy=False))) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(part) for field, part in found.items()}


def objective(name: str) -> str:
    """What the study seeks: "accuracy" or "loss". Raises as `trials`."""
    return str(_load(name).user_attrs["begun"]["objective"])


def show(result: dict[str, Any]) -> None:
    """Print how far the study is, its best trial, and how to repeat that."""
    counts = ", ".join(f"{n} {state}" for state, n in result["trials"].items())
    say(f"Study {result['study']}: {counts or 'no trials'}.")
    if best := result["best"]:
        judged = f"{result['objective']} {best['value']:.4f}"
        say(f"Best: trial {best['trial']}, {judged}, {_words(best['params'])}.", style="bold")
        say(f"Was it luck? With fresh folds and weights: {result['again']}")


def _begin(chosen: Space, data: training.Data, file: Path) -> Any:
    """The study of a space, made if need be. Raises InputError when its trials would be of another space or data."""
    optuna = _optuna()
    wanted = {**space.to_record(chosen), "train.csv": data.train.fingerprint, "test.csv": data.test.fingerprint}
    path = _journal(chosen.name)
    if not path.exists():
        training.plan(chosen.recipe, data)  # refuses too many folds before anything is written
        path.parent.mkdir(parents=True, exist_ok=True)
    with in_turn(path.with_suffix(".lock")):
        study = optuna.create_study(
            storage=_storage(path),
            study_name=chosen.name,
            direction="maximize" if chosen.objective == "accuracy" else "minimize",
            load_if_exists=True,
        )
        begun = study.user_attrs.get("begun")
        if begun is None:
            study.set_user_attr("begun", wanted)
        else:
            before = {**begun, "recipe": space.recipe_record(from_record(begun["recipe"]))}  # perhaps of fewer fields
            if changed := ", ".join(_changes(before, wanted)):
                raise InputError(
                    f"{file}: the study {chosen.name} was begun otherwise ({changed}), and its trials cannot be "
                    "compared with new ones. Undo that, or save the file under another name for a new study."
                )
    study.pruner = optuna.pruners.MedianPruner(_STARTUP, n_warmup_steps=round(_SPARED * _WHOLE), n_min_trials=_STARTUP)
    return study


def _changes(begun: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    """What is not as it was, in words; tables are looked into."""
    for key in {**begun, **wanted}:
        before, now = begun.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _changes(before, now)
        elif before != now:
            yield f"{key}: then {before}, now {now}"


def _ask(work: _Work, n_trials: int) -> Any:
    """The next trial, its values drawn; None when the study has, or will have, as many as wanted."""
    optuna = _optuna()
    with in_turn(_journal(work.space.name).with_suffix(".lock")):
        _take_back(work)
        known = work.study.get_trials(deepcopy=False)
        if sum(_record(trial)["state"] in ("complete", "pruned", "diverged", "running") for trial in known) >= n_trials:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # Optuna 4, of constant_liar
            # A seed for each trial: after a kill, and in another process, the same draws would come again. The liar
            # keeps processes at once from drawing near each other; for one alone it changes nothing.
            work.study.sampler = optuna.samplers.TPESampler(
                seed=(work.space.recipe.seed + len(known)) % 2**32, multivariate=False, constant_liar=True
            )
        trial = work.study.ask()
        trial.set_user_attr("worker", work.worker)
        for field, axis in work.space.axes.items():
            _draw(trial, field, axis)
        return trial


def _draw(trial: Any, field: str, axis: space.Axis) -> None:
    if not isinstance(axis, Range):
        trial.suggest_categorical(field, axis)
    elif isinstance(axis.low, int):
        trial.suggest_int(field, axis.low, axis.high, step=axis.step or 1, log=axis.log)
    else:
        trial.suggest_float(field, axis.low, axis.high, step=axis.step, log=axis.log)


def _take_back(work: _Work) -> None:
    """Close the trials of processes that are gone: by their rows in the ledger if those are done, else to be tried
    again. One that was lost twice is not: it may be what kills.

    The study's lock must be held, so that no trial is found between being asked for and being signed.
    """
    optuna = _optuna()
    states = optuna.trial.TrialState
    known = work.study.get_trials(deepcopy=False)
    for trial in known:
        if trial.state != states.RUNNING or _lives(work.space.name, trial.user_attrs.get("worker")):
            continue
        row = next((row for row in work.book.runs() if row["name"] == trial.user_attrs.get("run")), None)
        if row is not None and row["status"] == "done":  # killed between the two last steps
            work.study.tell(trial.number, _value(row, work.space.objective))
            continue
        if row is not None and row["status"] == "running":
            work.book.finish_run(row["id"], "interrupted")
        is_known = "again" in trial.user_attrs or any(
            other.user_attrs.get("again") == trial.number
            for other in known  # killed right after the next line
        )
        if trial.params and not is_known:
            work.study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
        work.study.tell(trial.number, state=states.FAIL)


def _try(work: _Work, trial: Any) -> None:
    """Train and judge one trial, enter it, tell its outcome to the study and the terminal.

    What is wrong with its recipe alone ends the trial; all else ends the sweep.
    """
    states = _optuna().trial.TrialState
    try:
        value = _train(work, trial)
    except Pruned as pruned:
        work.study.tell(trial, state=states.PRUNED)
        outcome, note = str(pruned), ""
    except Diverged:
        trial.set_user_attr("diverged", True)
        work.study.tell(trial, state=states.FAIL)
        outcome, note = "diverged", ""
    except BaseException:
        work.study.tell(trial, state=states.FAIL)
        raise
    else:
        work.study.tell(trial, value)
        outcome = f"{work.space.objective} {value:.4f}"
        note = "  (best so far)" if work.study.best_trial.number == trial.number else ""
    say(f"trial {trial.number}: {outcome}, {_words(trial.params)}{note}")


def _train(work: _Work, trial: Any) -> float:
    """The value of a trial, trained as a run is; raises Pruned when its first fold promises too little."""
    start = time.perf_counter()
    name, objective = work.space.name, work.space.objective
    recipe = change(work.space.recipe, trial.params)
    facts = training.facts("trial", name, recipe, work.data)
    with bookkeeping.entered(work.book, f"{name}-{trial.number}", **facts) as entry:
        trial.set_user_attr("run", entry.name)
        members = training.plan(recipe, work.data)
        with progress([member.recipe.epochs for member in members], f"trial {trial.number}") as lines:

            def on_epoch(member: "Member", epoch: "Epoch") -> None:
                lines.on_epoch(epoch)
                if member is members[0]:
                    _report(trial, objective, epoch, member.recipe.epochs)

            together = training.train(entry, members, work.data, lines.on_batch, on_epoch)
        result = training.write(entry, name, recipe, work.data, together)
        seconds = {**together.seconds, "total": time.perf_counter() - start}
        result["seconds"] = {part: round(value, 3) for part, value in seconds.items()}
        bookkeeping.finish(entry, result, "out-of-fold", publish=False)
    return float(result["validation"][objective])


def _report(trial: Any, objective: str, epoch: "Epoch", n_epochs: int) -> None:
    """Tell Optuna how the first fold does; raise Pruned when that is worse than the median of finished trials.

    A step is a part of the training, not an epoch: where `epochs` varies, trials are compared equally far.
    """
    value = epoch.validation_accuracy if objective == "accuracy" else epoch.validation_loss
    trial.report(value, step=_WHOLE * epoch.epoch // n_epochs)
    if trial.should_prune():
        raise Pruned(f"pruned after epoch {epoch.epoch} of its first fold at {objective} {value:.4f}")


def _summary(study: Any, data: Path | None) -> dict[str, Any]:
    records = [_record(trial) for trial in study.get_trials(deepcopy=False)]
    complete = [record for record in records if record["state"] == "complete"]
    objective = study.user_attrs["begun"]["objective"]
    sign = 1 if objective == "accuracy" else -1
    best = max(complete, key=lambda record: sign * record["value"], default=None)
    where = f" --data {quote(str(data))}" if data else ""
    states = [record["state"] for record in records]
    return {
        "study": study.study_name,
        "objective": objective,
        "journal": str(_journal(study.study_name)),
        "trials": {state: states.count(state) for state in dict.fromkeys(states)},
        "best": best,
        "again": best
        and f"digits run{where} --like {best['run']} --seed {study.user_attrs['begun']['recipe']['seed'] + 1}",
    }


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


def _words(params: dict[str, Any]) -> str:
    short = {field: f"{value:.3g}" if isinstance(value, float) else plain(value) for field, value in params.items()}
    return ", ".join(f"{field} {value}" for field, value in short.items())


@contextmanager
def _alive(name: str) -> Iterator[str]:
    """Hold a lock file that tells other processes that this one lives; however it dies, the system lifts the lock."""
    worker = uuid4().hex
    path = _lock_of(name, worker)
    try:
        with held(path):
            yield worker
    finally:
        path.unlink(missing_ok=True)


def _lives(name: str, worker: str | None) -> bool:
    if worker is None or not _lock_of(name, worker).exists():
        return False
    with held(_lock_of(name, worker)) as is_ours:
        lives = not is_ours
    if not lives:
        with suppress(OSError):
            _lock_of(name, worker).unlink()
    return lives


def _journal(name: str) -> Path:
    return SWEEPS / f"{name}.journal"


def _lock_of(name: str, worker: str) -> Path:
    return SWEEPS / f"{name}.{worker}.worker"


def _load(name: str) -> Any:
    if _journal(name).exists():
        with suppress(KeyError):  # a journal without a study: killed right at its begin
            return _optuna().load_study(study_name=name, storage=_storage(_journal(name)))
    there = ", ".join(sorted(path.stem for path in SWEEPS.glob("*.journal"))) or "none"
    raise InputError(f"there is no study {name!r} in {SWEEPS}. Those there: {there}. `digits sweep` begins one.")


def _storage(path: Path) -> Any:
    journal = _optuna().storages.journal
    lock = journal.JournalFileOpenLock(str(path))  # the other kind hangs on what a killed process left, and on Windows
    if path.exists():
        _mend(path, lock)
    try:
        return _optuna().storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=lock))
    except (ValueError, KeyError, AssertionError) as error:
        raise RunError(
            f"{path}: not a journal that Optuna can read ({error!r}). Its trials are in the ledger; move the file away "
            "to begin the study anew."
        ) from error


def _mend(path: Path, lock: Any) -> None:
    """Cut off half a line at the end, which a power cut or a full disk may leave and Optuna cannot read past."""
    lock.acquire()
    try:
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _optuna() -> Any:
    """Optuna, silenced. Raises RunError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise RunError('a sweep needs Optuna, which is not installed: pip install "optuna>=4"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
