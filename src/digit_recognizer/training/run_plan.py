"""What a run trains: a new run, a repeated one, or the rest of one that was stopped."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from digit_recognizer.data.dataset import Dataset
from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.reproducibility import Original, environment_diff, read_original
from digit_recognizer.tracking.run_record import RunHeader, RunRecord
from digit_recognizer.tracking.run_session import status
from digit_recognizer.training import checkpoints, distillation
from digit_recognizer.training.cross_validation import NetworkSpec, plan_networks
from digit_recognizer.training.distillation import Teacher
from digit_recognizer.training.ensemble import run_header
from digit_recognizer.training.parallel.config import ExecutionConfig
from digit_recognizer.training.parallel.process_pool import Pool
from digit_recognizer.utils import environment
from digit_recognizer.utils.reporter import Reporter


@dataclass(frozen=True)
class NewRun:
    """Train a recipe. Raises InputError as `run_dir.check_name`."""

    recipe_name: str
    recipe: Recipe
    name: str | None = None  # of the run, besides its time; by default the recipe's
    origin: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True)
class RepeatRun:
    """Train the recipe of an earlier run again. Raises InputError as `run_dir.check_name`."""

    original: RunRecord
    recipe: Recipe  # the original's, perhaps with changed settings
    name: str | None = None
    verify: bool = False  # whether to compare the predictions with the original's

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def origin(self) -> RunRecord:
        return self.original

    @property
    def recipe_name(self) -> str:
        return self.original.recipe_name


@dataclass(frozen=True)
class ResumeRun:
    """Go on with a run that is not finished."""

    run: RunRecord

    @property
    def origin(self) -> RunRecord:
        return self.run

    @property
    def recipe_name(self) -> str:
        return self.run.recipe_name

    @property
    def recipe(self) -> Recipe:
        return self.run.recipe


RunMode = NewRun | RepeatRun | ResumeRun


@dataclass(frozen=True, eq=False)
class RunPlan:
    """The networks of a run, and what is known of it before the training."""

    name: str
    header: RunHeader
    recipe: Recipe
    networks: tuple[NetworkSpec, ...]
    teachers: tuple[Teacher, ...]
    resumed: RunRecord | None = None
    changes: Sequence[str] = ()  # of the environment, since a resumed run began
    seconds_before: float | None = None  # that a resumed run was trained for
    original: Original | None = None  # to be compared with


def plan_run(
    mode: RunMode,
    data: Dataset,
    data_place: str,
    ledger: Ledger,
    execution: ExecutionConfig,
    pool: Pool | None,
    reporter: Reporter,
) -> RunPlan:
    """Plan a run on `data`, whose place the ledger names `data_place`.

    A new run becomes a resumed one when its recipe and data are those of a run that was stopped and the user agrees.
    Raises InputError when a run cannot be resumed or repeated here, and when the recipe does not fit the data.
    """
    original = None
    if isinstance(mode, ResumeRun):
        _check_backend(mode.run, must_match=True, reporter=reporter)
        _check_files(mode.run, data, must_match=True, reporter=reporter)
    elif isinstance(mode, RepeatRun):
        _check_backend(mode.original, must_match=False, reporter=reporter)
        original = read_original(mode.original) if mode.verify else None
        _check_files(mode.original, data, must_match=mode.verify, reporter=reporter)
    recipe = planned_recipe(mode, execution)
    recipe, teachers = distillation.load_teachers(ledger, recipe, data.train.fingerprint)
    networks = plan_networks(recipe, data.train.labels)
    distillation.check_teachers(networks, teachers)
    header = run_header("run", mode.recipe_name, recipe, data, data_place, pool)
    if isinstance(mode, ResumeRun):
        name: str = mode.run.short_name
        resumed: RunRecord | None = mode.run
    else:
        name = run_dir.name_from(mode.recipe_name) if mode.name is None else mode.name
        resumed = _stopped_run(ledger, header, name, networks, reporter) if isinstance(mode, NewRun) else None
    if resumed is None:
        return RunPlan(name, header, recipe, networks, teachers, original=original)
    seconds_before = seconds_trained(ledger, resumed, networks, reporter)
    if changes := environment_diff(resumed, header):
        reporter.warning(f"changed since the run began: {', '.join(changes)}. The bits may differ.")
    return RunPlan(name, header, recipe, networks, teachers, resumed, changes, seconds_before)


def planned_recipe(mode: RunMode, execution: ExecutionConfig) -> Recipe:
    """The recipe with the threads of its networks, which a resumed or verified run keeps."""
    keeps_threads = isinstance(mode, ResumeRun) or (isinstance(mode, RepeatRun) and mode.verify)
    return mode.recipe if keeps_threads else execution.with_threads(mode.recipe)


def seconds_trained(ledger: Ledger, run: RunRecord, networks: Sequence[NetworkSpec], reporter: Reporter) -> float:
    """The seconds that earlier processes trained and predicted for a run; warns of damaged checkpoints.

    Raises InputError as `checkpoints.load_latest_checkpoint`.
    """
    done = {row.name: row for row in ledger.networks(run.id)}
    seconds = sum(row.seconds + (row.seconds_predict or 0.0) for row in done.values())
    for network in networks:
        if network.name not in done:
            folder = run_dir.network_folder(run.folder, network.name, len(networks))
            fingerprint = checkpoints.training_fingerprint(network, run.train_hash)
            checkpoint = checkpoints.load_latest_checkpoint(folder, fingerprint, reporter.warning)
            seconds += checkpoint.seconds if checkpoint else 0.0
    return float(seconds)


def _stopped_run(
    ledger: Ledger, header: RunHeader, name: str, networks: Sequence[NetworkSpec], reporter: Reporter
) -> RunRecord | None:
    """The newest run of this recipe, data and name, if it was stopped and the user wants to go on with it."""
    recipe = json.loads(json.dumps(header.recipe))
    same = (
        run
        for run in ledger.runs()
        if (run.kind, run.train_hash, run.test_hash) == (header.kind, header.train_hash, header.test_hash)
        and run.recipe_fields == recipe
        and run.short_name == name
        and run.backend == environment.backend()
    )
    run = next(same, None)
    if run is None or status(run) not in ("interrupted", "failed"):
        return None
    try:
        seconds = seconds_trained(ledger, run, networks, reporter)
    except InputError as error:
        reporter.warning(f"run {run.name} of this recipe and data was stopped and cannot be resumed. {error}")
        return None
    stopped = f"Run {run.name} of this recipe and data was stopped after {seconds:.0f} seconds of training."
    if changes := environment_diff(run, header):
        stopped += f" Changed since: {', '.join(changes)}."
    otherwise = f"{stopped} This is a new run; to go on with that one: `resume` {run.name}"
    return run if seconds and reporter.confirm(f"{stopped} Go on with it?", otherwise) else None


def _check_name(name: str | None) -> None:
    if name is not None:
        run_dir.check_name(name)


def _check_backend(run: RunRecord, must_match: bool, reporter: Reporter) -> None:
    """Raise InputError, or warn, when Keras has another backend than the run was trained with."""
    then, now = run.backend, environment.backend()
    if then in (None, now):
        return
    text = f"run {run.name} was trained by Keras with {then}, and Keras now has {now}. Set KERAS_BACKEND={then}"
    if must_match:
        raise InputError(f"{text} to go on with it.")
    reporter.warning(f"{text} to repeat it with that.")


def _check_files(run: RunRecord, data: Dataset, must_match: bool, reporter: Reporter) -> None:
    """Raise InputError, or warn, when the data is not that of the run."""
    if (run.train_hash, run.test_hash) == (data.train.fingerprint, data.test.fingerprint):
        return
    if not must_match:
        return reporter.warning("the data is not that of the run that is repeated.")
    if run.data_place != data.source.place:
        cure = f"Those were {run.data_place}: name them with `data`."
    elif data.source.kind == "sample":
        cure = "Remove them: they are made anew."
    else:
        cure = "They were changed since: put them back as they were."
    raise InputError(f"{data.source.place}: not the files that run {run.name} was trained on. {cure}")
