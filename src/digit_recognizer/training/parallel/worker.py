"""What a process does that trains networks for another: it is prepared once, then gets one network after another.

Comes in: the tables, once, and jobs. Goes out: the outcome of each. Refuses to know who asks, and the ledger.
"""

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.tracking import run_dir
from digit_recognizer.training import checkpoints
from digit_recognizer.training.cross_validation import NetworkResult, NetworkSpec
from digit_recognizer.training.distillation import Teacher
from digit_recognizer.training.state import Checkpoint
from digit_recognizer.utils import backend, environment, locks

_MOMENT = 0.5  # seconds between two looks at the parent
_SAME = ("digit-recognizer", "backend", "python", "numpy", "keras")  # must be what they are where the run is kept
_OF_A_WORKER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")  # Dask sets them
_SETTINGS = tuple(name for name in environment.SETTINGS if name not in _OF_A_WORKER)


@dataclass(frozen=True, eq=False)
class WorkerSetup:
    """What every network of a run needs: it travels once to each process."""

    train: LabelledTable
    test: Table
    facts: dict[str, Any]  # of who asks, as `surroundings.facts` has them


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """A network to train; with the tables it decides every bit of the outcome."""

    member: NetworkSpec
    identity: str  # of its checkpoints
    teachers: tuple[Teacher, ...]


_tables: tuple[LabelledTable, Table]  # of a process that is prepared
_wrong: Exception | None = None  # in preparing it
_gpu = ExitStack()  # holds the lock of this process's GPU as long as it lives


def worker_setup(train: LabelledTable, test: Table) -> WorkerSetup:
    """What to prepare processes with."""
    return WorkerSetup(train, test, environment.current_environment())


def write_setup(given: WorkerSetup, place: Path) -> tuple[str, str]:
    """Write the tables, from which processes of this machine are prepared, and return their fingerprints.

    By a pipe a process that dies before it has read them would leave its parent waiting. Raises RunError on failure.
    """
    arrays = {"train": given.train.pixels, "labels": given.train.labels, "test": given.test.pixels}
    run_dir.write_arrays(place, arrays)
    return given.train.fingerprint, given.test.fingerprint


def check_worker(given: WorkerSetup) -> None:
    """Raise InputError when this machine has other code, versions or settings than `given`: these decide the bits."""
    both = environment.current_environment(), given.facts
    here, there = ({**facts["versions"], **facts["settings"], "code": facts["code"]} for facts in both)
    wrong = [name for name in (*_SAME, there["backend"], *_SETTINGS) if here.get(name) != there.get(name)]
    if here["code"] and there["code"] and here["code"] != there["code"]:  # None where it was installed
        wrong.append("code")
    if wrong:
        told = ", ".join(f"{name} {here.get(name)}, not {there.get(name)}" for name in wrong)
        raise InputError(f"a worker on {environment.cpu()} has {told}. Make that the same there.")


def prepare(place: Path, fingerprints: tuple[str, str], parent: int) -> None:
    """Make this process ready to train for its `parent`: with the data, with a GPU of its own if there are several.

    Its parent sees to Ctrl-C and closed terminals, and Kaggle's credentials are none of its business. What goes wrong
    is raised when it is to work, as who starts processes is not told.
    """
    global _tables, _wrong
    Thread(target=_end_with, args=[parent], daemon=True).start()
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    remove_credentials()
    try:
        arrays = run_dir.read_arrays(place)
        train_hash, test_hash = fingerprints
        _tables = LabelledTable(arrays["train"], train_hash, arrays["labels"]), Table(arrays["test"], test_hash)
        _take_gpu()
        with backend.hide_native_output("Loading Keras and its backend"):
            from digit_recognizer.training import network  # noqa: F401
    except Exception as error:
        _wrong = error


def credential_variables() -> list[str]:
    """The variables of this process's environment that Kaggle's client may log in with."""
    return [name for name in os.environ if name.startswith("KAGGLE_")]


def remove_credentials() -> None:
    """Take them out of it."""
    for name in credential_variables():
        del os.environ[name]


def train_task(job: TrainingTask, folder: Path) -> NetworkResult:
    """Train a network in a prepared process, with its checkpoints in `folder`, from the newest there if there is one.

    Raises Diverged when the training does, InputError when the checkpoints are damaged, RunError when this process has
    begun with other threads, and what went wrong in preparing it.
    """
    _start(job.member.recipe.threads)
    from digit_recognizer.training import network

    def keep(checkpoint: Checkpoint) -> None:
        checkpoints.save_checkpoint(folder, job.identity, checkpoint)

    begun = checkpoints.load_latest_checkpoint(folder, job.identity)
    teachers = [teacher.network() for teacher in job.teachers]
    return network.train_network(job.member, *_tables, teachers=teachers, begun=begun, keep=keep)


def device(threads: int) -> str:
    """Where a prepared process computes: cpu or gpu."""
    _start(threads)
    return backend.device()


def gpus() -> list[str]:
    """The GPUs of this machine that a process may use, as CUDA_VISIBLE_DEVICES names them."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _ in enumerate(folder.iterdir())] if folder.is_dir() else []


def _end_with(parent: int) -> None:
    """End this process soon after its parent, who may be killed and tell nobody; not on Windows, which hides it."""
    while os.getppid() == parent:
        time.sleep(_MOMENT)
    os._exit(1)


def _start(threads: int) -> None:
    if _wrong:
        raise _wrong
    backend.start_backend(threads)


def _take_gpu() -> None:
    """Use one GPU that no other worker uses. Raises RunError when there is none left.

    One alone that SLURM names was given to this process; each job on a machine may know its own by the same number.
    """
    names = gpus()
    if len(names) == 1 and "SLURM_JOB_ID" in os.environ:
        return
    for name in names:
        try:
            _gpu.enter_context(locks.alone(f"gpu-{name}", otherwise="taken"))
        except RunError:
            continue
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        return
    if names:
        raise RunError(f"each of the {len(names)} GPUs has its worker already. Ask for fewer.")
