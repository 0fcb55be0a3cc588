"""The plan of a run that is new, repeats an earlier one, or resumes one that was stopped."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from digit_recognizer.data.dataset import Dataset
from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import MODELS, REGISTERED
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
    """Trains a recipe."""

    recipe_name: str
    recipe: Recipe
    name: str | None = None  # of the run, after its time; by default the recipe's
    origin: ClassVar[None] = None
    resumed: ClassVar[None] = None


@dataclass(frozen=True)
class RepeatRun:
    """Trains the recipe of an earlier run again."""

    origin: RunRecord
    recipe: Recipe  # of the origin, perhaps with changed settings
    name: str | None = None
    verify: bool = False  # whether to compare the predictions with those of the origin
    resumed: ClassVar[None] = None


@dataclass(frozen=True)
class ResumeRun:
    """Resumes a run that is not finished."""

    origin: RunRecord
    name: ClassVar[None] = None

    @property
    def resumed(self) -> RunRecord:
        return self.origin

    @property
    def recipe(self) -> Recipe:
        return self.origin.recipe


RunMode = NewRun | RepeatRun | ResumeRun


@dataclass(frozen=True, eq=False)
class RunPlan:
    """The networks of a run, and its properties that are known before the training."""

    name: str  # of a run that is not resumed
    header: RunHeader
    recipe: Recipe
    networks: tuple[NetworkSpec, ...]
    teachers: tuple[Teacher, ...]
    resumed: RunRecord | None = None
    changes: Sequence[str] = ()  # of the environment since a resumed run began
    seconds_before: float | None = None  # for which a resumed run was trained before
    original: Original | None = None  # to compare the predictions with


def plan_run(
    mode: RunMode,
    data: Dataset,
    data_place: str,
    ledger: Ledger,
    execution: ExecutionConfig,
    pool: Pool | None,
    reporter: Reporter,
) -> RunPlan:
    """Plan a run on `data`, whose place is `data_place` in the ledger.

    A new run resumes a run that was stopped, if recipe and data are the same and the user agrees. Raises InputError
    when a run cannot be resumed or repeated here, and when the recipe does not fit the data.
    """
    original = read_original(mode.origin) if isinstance(mode, RepeatRun) and mode.verify else None
    if mode.origin:
        _check_backend(mode.origin, mode.resumed is not None, reporter)
        _check_files(mode.origin, data, bool(mode.resumed or original), reporter)
    recipe = planned_recipe(mode, execution)
    recipe, teachers = distillation.load_teachers(ledger, recipe, data.train.fingerprint)
    networks = plan_networks(recipe, data.train.labels)
    for network in networks:
        distillation.teachers_of(network, teachers)  # raises InputError if there are none for it
        if pool and MODELS[network.recipe.model].source == REGISTERED:
            raise InputError(f"model {network.recipe.model} exists in this process only. Set `workers` to 1.")
    recipe_name = mode.recipe_name if isinstance(mode, NewRun) else mode.origin.recipe_name
    header = run_header("run", recipe_name, recipe, data, data_place, pool)
    name = mode.name or run_dir.name_from(recipe_name)
    resumed = mode.resumed
    if isinstance(mode, NewRun):
        resumed = _stopped_run(ledger, header, name, networks, reporter)
    if resumed is None:
        return RunPlan(name, header, recipe, networks, teachers, original=original)
    seconds_before = _seconds_trained(ledger, resumed, networks, reporter)
    if changes := environment_diff(resumed, header):
        reporter.warning(f"changed since the run began: {', '.join(changes)}. The bits may differ.")
    return RunPlan(name, header, recipe, networks, teachers, resumed, changes, seconds_before)


def planned_recipe(mode: RunMode, execution: ExecutionConfig) -> Recipe:
    """Returns the recipe with the threads of its networks, which a resumed or verified run keeps."""
    keeps_threads = mode.resumed or (isinstance(mode, RepeatRun) and mode.verify)
    return mode.recipe if keeps_threads else execution.with_threads(mode.recipe)


def _seconds_trained(ledger: Ledger, run: RunRecord, networks: Sequence[NetworkSpec], reporter: Reporter) -> float:
    """Returns the seconds that earlier processes trained and predicted for a run; warns of damaged checkpoints.

    Raises InputError when all checkpoints of a network are damaged or of another training.
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
    """Returns the newest run of this recipe, data and name, if it was stopped and the user agrees to resume it."""
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
        seconds = _seconds_trained(ledger, run, networks, reporter)
    except InputError as error:
        reporter.warning(f"run {run.name} of this recipe and data was stopped and cannot be resumed. {error}")
        return None
    stopped = f"Run {run.name} of this recipe and data was stopped after {seconds:.0f} seconds of training."
    otherwise = f"{stopped} This is a new run; to resume the other: `resume` {run.name}"
    return run if seconds and reporter.confirm(f"{stopped} Resume it?", otherwise) else None


def _check_backend(run: RunRecord, must_match: bool, reporter: Reporter) -> None:
    """Raise InputError, or warn, when the backend of Keras is not that of the run."""
    now = environment.backend()
    if run.backend in (None, now):
        return
    text = f"run {run.name} was trained with KERAS_BACKEND={run.backend}, and the backend is now {now}."
    if must_match:
        raise InputError(f"{text} Set that variable to resume the run.")
    reporter.warning(text)


def _check_files(run: RunRecord, data: Dataset, must_match: bool, reporter: Reporter) -> None:
    """Raise InputError, or warn, when the data is not that of the run."""
    if (run.train_hash, run.test_hash) == (data.train.fingerprint, data.test.fingerprint):
        return
    if not must_match:
        return reporter.warning("the data is not that of the run that is repeated.")
    raise InputError(
        f"{data.source.place}: these files are not the training data of run {run.name}. Set their location "
        f"with `data`, or restore them in {run.data_place}."
    )
