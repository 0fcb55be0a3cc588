"""The main job from top to bottom: data, networks, submission.csv, and its score or upload to Kaggle."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from digit_recognizer.competition import submit
from digit_recognizer.competition.client import require_credentials
from digit_recognizer.competition.download import find_or_download
from digit_recognizer.data import submission
from digit_recognizer.data.augmentation import Augmentation
from digit_recognizer.data.dataset import Dataset, read_dataset
from digit_recognizer.data.inspection import inspect
from digit_recognizer.data.sources import Source
from digit_recognizer.errors import DivergedError, RunError
from digit_recognizer.evaluation.grading import read_answers
from digit_recognizer.evaluation.metrics import validate
from digit_recognizer.recipes.recipe import network_recipes
from digit_recognizer.report.plots import write_plots
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.reproducibility import verify
from digit_recognizer.tracking.run_record import RunResult
from digit_recognizer.tracking.run_session import ActiveRun, finish_run, open_run, record_score, resume_run
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.cross_validation import n_networks, plan_networks
from digit_recognizer.training.ensemble import train_ensemble, write_results
from digit_recognizer.training.estimate import RunEstimate, estimate_run
from digit_recognizer.training.parallel.config import IN_PROCESS, ExecutionConfig, open_pool
from digit_recognizer.training.run_plan import RunMode, RunPlan, plan_run, planned_recipe
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.files import can_sync, read_bytes
from digit_recognizer.utils.reporter import SILENT, Reporter
from digit_recognizer.utils.signals import TerminationSignal, handle_signals


@dataclass(frozen=True)
class UploadConfig:
    """How a submission is uploaded to Kaggle."""

    message: str = ""  # the beginning of its description on Kaggle
    force: bool = False  # whether to upload a file that Kaggle already has


@dataclass(frozen=True)
class RunConfig:
    """What a run trains, on which data and processes, and how its submission is scored and uploaded.

    Raises InputError for an invalid name.
    """

    mode: RunMode
    data: Path | None = None  # a folder, a zip or "sample"; by default as `data.sources.find`
    answers: Path | None = None  # a file of test labels
    upload: UploadConfig | None = None
    execution: ExecutionConfig = IN_PROCESS

    def __post_init__(self) -> None:
        if self.mode.name is not None:
            run_dir.check_name(self.mode.name)


def run(config: RunConfig, workspace: Workspace, reporter: Reporter = SILENT) -> RunResult:
    """Train networks, write their submission, and score and upload it as configured.

    Raises InputError before the training when data, answers or name are invalid or the data cannot be submitted, and
    RunError when training, writing or Kaggle fails or a rerun does not reproduce its original.
    """
    require_backend()
    return run_on(read_dataset(_find_data(config, workspace, reporter)), config, workspace, reporter)


def run_on(data: Dataset, config: RunConfig, workspace: Workspace, reporter: Reporter = SILENT) -> RunResult:
    """As `run`, on a dataset in memory."""
    start = time.perf_counter()
    require_backend()
    answers = read_answers(config.answers, len(data.test.pixels)) if config.answers else None
    reporter.on_data(inspect(data.train, data.test))
    execution = config.execution.limited_to(n_networks(config.mode.recipe))
    with (
        workspace.open_ledger(reporter) as ledger,
        open_pool(execution, data.train, data.test, reporter) as pool,
    ):
        if not can_sync(workspace.submissions):
            reporter.warning(f"{workspace.submissions} cannot be flushed to disk: a power failure may lose its files.")
        place = workspace.relative(data.source.place)
        plan = plan_run(config.mode, data, place, ledger, execution, pool, reporter)
        with _open(ledger, plan) as active, _resumable(active, reporter), handle_signals():
            _announce(plan, config.execution, execution, reporter)
            epochs = {network.name: network.recipe.epochs for network in plan.networks}
            with reporter.training(epochs) as hooks:
                predictions = train_ensemble(active, plan.networks, data, plan.teachers, pool, hooks)
            result = write_results(active, plan.header, data, predictions)
            total = data.seconds + time.perf_counter() - start + (plan.seconds_before or 0)
            result = replace(
                result,
                seconds={"read": data.seconds, **predictions.seconds, "total": total},
                score=None if answers is None else validate(predictions.test_log_p, answers),
                check=verify(plan.original, predictions, plan.header) if plan.original else None,
            )
            if config.answers and result.score:
                record_score(ledger, result.submission, config.answers, result.score)
            finish_run(active, result, plan.recipe.folds > 0, workspace.newest_submission)
        plotted = predictions.rows, predictions.log_p, predictions.histories
        write_plots(active.folder, data.train, *plotted, reporter.warning)
        reporter.on_result(result)
        if result.check and result.check.expected and not result.check.same_bits:
            raise RunError(f"run {result.run} does not reproduce {result.check.of}.")
        if config.upload:
            result = _upload(ledger, active, result, config.upload, len(data.test.pixels), reporter)
    return result


def estimate(config: RunConfig, workspace: Workspace, reporter: Reporter = SILENT) -> RunEstimate:
    """The networks that `run` would train, with their seconds if the ledger has them; nothing is written.

    Raises InputError when there are too few rows of a digit to split.
    """
    mode = config.mode
    labels = read_dataset(_find_data(replace(config, upload=None), workspace, reporter)).train.labels
    execution = config.execution.limited_to(n_networks(mode.recipe))
    networks = plan_networks(planned_recipe(mode, execution), labels)
    with workspace.existing_ledger() if workspace.ledger_file.exists() else nullcontext() as ledger:
        done = {row.name for row in ledger.networks(mode.resumed.id)} if ledger and mode.resumed else set()
        left = [network for network in networks if network.name not in done]
        at_a_time = None if execution.dask_scheduler else min(execution.workers, len(left))
        return estimate_run(left, ledger, at_a_time)


def _find_data(config: RunConfig, workspace: Workspace, reporter: Reporter) -> Source:
    """The data, downloaded if necessary. Checks first whether Kaggle accepts an upload."""
    if config.upload:
        require_credentials()
    place, origin = config.data, config.mode.origin
    if place is None and origin:
        place = origin.data_place
    source = find_or_download(place, workspace.data, reporter)
    if config.upload:
        submit.check_not_sample(source)
        submit.check_allowance(reporter)
    return source


def _open(ledger: Ledger, plan: RunPlan) -> AbstractContextManager[ActiveRun]:
    if plan.resumed:
        return resume_run(ledger, plan.resumed, plan.changes)
    return open_run(ledger, plan.name, plan.header)


def _upload(
    ledger: Ledger, run: ActiveRun, result: RunResult, upload: UploadConfig, n_rows: int, reporter: Reporter
) -> RunResult:
    """Upload the submission. Raises RunError when the file was damaged or Kaggle refuses it."""
    content = read_bytes(result.submission)
    if sha256(content).hexdigest() != result.submission_sha256:
        raise RunError(f"{result.submission}: damaged after it was written; not uploaded. Check the disk.")
    submission.check_upload(content, str(result.submission), n_rows)
    entry = submit.submit_once(
        ledger, result.submission, content, run.name, upload.message, force=upload.force, reporter=reporter
    )
    result = replace(result, kaggle=entry)
    run_dir.write_record(run.folder, "result", result.to_json())
    return result


@contextmanager
def _resumable(run: ActiveRun, reporter: Reporter) -> Iterator[None]:
    """Report that a stopped run can be resumed, if it has a checkpoint and did not diverge."""
    try:
        yield
    except (KeyboardInterrupt, TerminationSignal, OSError, RunError, sqlite3.Error) as error:
        if not isinstance(error, DivergedError) and any(run.folder.rglob("*.npz")):
            with suppress(OSError):  # the terminal may be gone
                reporter.on_stopped(run.name)
        raise


def _announce(plan: RunPlan, wanted: ExecutionConfig, used: ExecutionConfig, reporter: Reporter) -> None:
    """Report what is trained."""
    first, n_networks = plan.networks[0], len(plan.networks)
    many = f"{n_networks} networks. The first: " if n_networks > 1 else ""
    held_out = f"{len(first.held_out):,} held out for validation." if len(first.held_out) else "none held out."
    reporter.info(f"Training {many}{first.recipe.model} on {len(first.train_rows):,} images, {held_out}")
    if used.dask_scheduler and not plan.recipe.threads:
        reporter.warning("each network uses all threads of its machine, as when the run began; the bits may differ.")
    if plan.teachers:
        reporter.info(f"Each network learns from networks of {plan.recipe.teacher}.")
    for network in network_recipes(plan.recipe):
        if network.augmentation != Augmentation() and network.clean >= network.epochs:
            reporter.warning(
                f"{network.model} is trained without augmentation: epochs {network.epochs}, clean {network.clean}."
            )
    if plan.seconds_before is not None:
        reporter.info(
            f"Resuming after {plan.seconds_before:.0f} seconds of training; finished epochs are listed again."
            if plan.seconds_before
            else "No checkpoint is left: the training starts from the first epoch."
        )
    if used != wanted:
        reporter.info(f"Workers: {used.workers}, as there are no more networks or GPUs.")
