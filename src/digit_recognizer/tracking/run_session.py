"""An open run: its ledger row and its folder are created before the training, and it is closed on any exception."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from digit_recognizer.errors import DivergedError, RunError
from digit_recognizer.evaluation.grading import Grades
from digit_recognizer.evaluation.metrics import Score, Validation
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_record import RunHeader, RunRecord, RunResult
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.files import read_bytes, remove_stale_temporary_files, write_atomically
from digit_recognizer.utils.locks import alive, is_alive

_LOCK = ".training"  # in a run folder, held by the process that trains
_RESUMED = "resumed with"  # key of a run's settings: the changes of the environment at which it was resumed


@dataclass(frozen=True)
class ActiveRun:
    """A run that is being trained by this process."""

    ledger: Ledger
    id: int
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name


class PrunedError(Exception):
    """Raised in an open run to close it as pruned."""


@contextmanager
def open_run(ledger: Ledger, name: str, header: RunHeader) -> Iterator[ActiveRun]:
    """Create a run folder and insert the run into the ledger.

    An exception in the block closes the run as failed, diverged, interrupted or pruned, and removes an empty folder.
    """
    remove_stale_temporary_files(ledger.submissions_folder, below=True)
    folder = run_dir.make_run_folder(ledger.submissions_folder, name, datetime.now(), is_taken=ledger.has_run)
    with _locked(folder):
        run_id = ledger.start_run(name=folder.name, **header.columns())
        with _closing(ledger, run_id):
            yield ActiveRun(ledger, run_id, folder)


@contextmanager
def resume_run(ledger: Ledger, run: RunRecord, changes: Sequence[str] = ()) -> Iterator[ActiveRun]:
    """Open a run that is not finished.

    Its row keeps the environment in which it began, and notes the `changes` since. Raises RunError if another process
    is training the run or has finished it.
    """
    folder = run.folder
    folder.mkdir(parents=True, exist_ok=True)  # an empty one was removed
    with _locked(folder):
        remove_stale_temporary_files(folder, older_than=0, below=True)  # the lock shows that their writers ended
        settings = dict(run.settings)
        known = settings.get(_RESUMED, "")
        if added := [change for change in changes if f", {change}," not in f", {known},"]:
            settings[_RESUMED] = ", ".join(filter(None, [known, *added]))
        if not ledger.reopen_run(run.id, settings=settings):
            raise RunError(f"run {run.name} was finished by another process.")
        with _closing(ledger, run.id):
            yield ActiveRun(ledger, run.id, folder)


def finish_run(run: ActiveRun, result: RunResult, is_out_of_fold: bool, copy: Path | None = None) -> None:
    """Close a run as done: write its result to result.json and the ledger, and its submission to `copy`, if given."""
    run_dir.write_record(run.folder, "result", result.to_json())
    if copy:
        write_atomically(copy, read_bytes(result.submission))
    found = result.validation
    run.ledger.finish_run(
        run.id,
        "done",
        weights=result.weights,
        estimate=("out-of-fold" if is_out_of_fold else "holdout") if found else None,
        n=found and found.n,
        correct=found and found.correct,
        loss=found and found.log_loss,
        submission_hash=result.submission_sha256,
        **{f"seconds_{part}": round(seconds, 3) for part, seconds in result.seconds.items()},
    )


def status(run: RunRecord) -> str:
    """The status of a run; a running one whose process was killed is interrupted."""
    is_dead = run.status == "running" and not is_alive(run.folder / _LOCK)
    return "interrupted" if is_dead else run.status


def changes_at_resumes(run: RunRecord) -> list[str]:
    """The changes of the environment at which a run was resumed, such as "resumed with threads 4 -> 2"."""
    changes = run.settings.get(_RESUMED)
    return [f"{_RESUMED} {changes}"] if changes else []


def record_score(ledger: Ledger, file: Path, answers: Path, score: Score | Validation) -> None:
    """Insert the score of a submission file on an answers file."""
    hash, answers_hash = (sha256(read_bytes(path)).hexdigest() for path in (file, answers))
    ledger.add_score(hash=hash, file=str(file), answers_hash=answers_hash, n=score.n, correct=score.correct)


def record_grades(workspace: Workspace, grades: Grades) -> None:
    """Insert the scores of submission files into the ledger of a workspace, if it has one."""
    if workspace.ledger_file.exists():
        with workspace.existing_ledger() as ledger:
            for grade in grades.files:
                record_score(ledger, grade.file, grades.answers, grade.score)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. If the block raises, an empty folder is removed."""
    try:
        with alive(folder / _LOCK, f"run {folder.name} is being trained by another process. Wait for it."):
            yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


@contextmanager
def _closing(ledger: Ledger, run_id: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        ledger.finish_run(run_id, _status_after(error), error=str(error) if isinstance(error, Exception) else "")
        raise


def _status_after(error: BaseException) -> str:
    if isinstance(error, PrunedError):
        return "pruned"
    if isinstance(error, DivergedError):
        return "diverged"
    return "failed" if isinstance(error, Exception) else "interrupted"
