"""A worker process: it is set up once with the data, then trains one task after another for its parent."""

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.training import checkpoints
from digit_recognizer.training.cross_validation import NetworkResult, NetworkSpec
from digit_recognizer.training.distillation import Teacher
from digit_recognizer.training.state import Checkpoint, FitHooks
from digit_recognizer.utils import backend, locks
from digit_recognizer.utils.arrays import read_arrays, write_arrays
from digit_recognizer.utils.environment import SETTINGS, Environment, cpu, current_environment

_INTERVAL = 0.5  # seconds between two checks of the parent
_SAME = ("digit-recognizer", "backend", "python", "numpy", "keras")  # versions that must equal those of the client
_SET_BY_DASK = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True, eq=False)
class WorkerSetup:
    """What every task needs; sent once to each process."""

    train: LabelledTable
    test: Table
    environment: Environment = field(default_factory=current_environment)  # of the client, which creates the setup


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """A network to train; with the data it decides every bit of the result."""

    network: NetworkSpec
    fingerprint: str  # of its checkpoints
    teachers: tuple[Teacher, ...]


_tables: tuple[LabelledTable, Table]  # of a process that is set up
_setup_error: Exception | None = None
_gpu = ExitStack()  # holds the lock of this process's GPU as long as it lives


def write_setup(setup: WorkerSetup, path: Path) -> tuple[str, str]:
    """Write the tables for processes of this machine, and return their fingerprints.

    A pipe would block the parent of a process that dies before it has read them. Raises RunError on failure.
    """
    write_arrays(path, {"train": setup.train.pixels, "labels": setup.train.labels, "test": setup.test.pixels})
    return setup.train.fingerprint, setup.test.fingerprint


def check_worker(setup: WorkerSetup) -> None:
    """Raises InputError when code, versions or settings, which decide the bits, differ from the client's."""
    here, there = current_environment(), setup.environment
    names = (*_SAME, str(there.versions["backend"]))
    pairs = {name: (here.versions.get(name), there.versions.get(name)) for name in names}
    pairs |= {
        name: (here.settings.get(name), there.settings.get(name)) for name in SETTINGS if name not in _SET_BY_DASK
    }
    if here.code and there.code:  # None where it was installed
        pairs["code"] = here.code, there.code
    if wrong := ", ".join(f"{name} {own}, not {wanted}" for name, (own, wanted) in pairs.items() if own != wanted):
        raise InputError(f"a worker on {cpu()} has {wrong}. Use the same as on this machine.")


def prepare(path: Path, fingerprints: tuple[str, str], parent: int) -> None:
    """Set up this process for its `parent`: with the data, and with a GPU of its own if there are several.

    The parent handles Ctrl-C and closed terminals. An error is raised by the first task, as an executor does not report
    errors of its initializer.
    """
    global _tables, _setup_error
    Thread(target=_exit_with, args=[parent], daemon=True).start()
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        arrays = read_arrays(path)
        train_hash, test_hash = fingerprints
        _tables = LabelledTable(arrays["train"], train_hash, arrays["labels"]), Table(arrays["test"], test_hash)
        _take_gpu()
        with backend.hide_native_output("Loading Keras and its backend"):
            from digit_recognizer.training import network  # noqa: F401
    except Exception as error:
        _setup_error = error


def credential_variables() -> list[str]:
    """The environment variables of this process that may hold Kaggle's credentials."""
    return [name for name in os.environ if name.startswith("KAGGLE_")]


def remove_credentials() -> None:
    """Delete Kaggle's credentials from the environment of this process."""
    for name in credential_variables():
        del os.environ[name]


def train_task(task: TrainingTask, folder: Path) -> NetworkResult:
    """Train a network in a process that is set up, from its newest checkpoint in `folder` if there is one.

    Raises DivergedError when the training does, InputError when the checkpoints are damaged, RunError when this process
    has started with another number of threads, and the error of the setup.
    """
    _start(task.network.recipe.threads)
    from digit_recognizer.training.network import train_network

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        checkpoints.save_checkpoint(folder, task.fingerprint, checkpoint)

    checkpoint = checkpoints.load_latest_checkpoint(folder, task.fingerprint)
    teachers = [teacher.build() for teacher in task.teachers]
    return train_network(task.network, *_tables, teachers, checkpoint, FitHooks(on_checkpoint=on_checkpoint))


def device(threads: int) -> str:
    """The device of a process that is set up: cpu or gpu."""
    _start(threads)
    return backend.device()


def gpus() -> list[str]:
    """The GPUs of this machine that a process may use, in the notation of CUDA_VISIBLE_DEVICES."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _ in enumerate(folder.iterdir())] if folder.is_dir() else []


def _exit_with(parent: int) -> None:
    """Exit soon after the parent, which may be killed; not on Windows, where its death cannot be detected."""
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    os._exit(1)


def _start(threads: int) -> None:
    if _setup_error:
        raise _setup_error
    backend.start_backend(threads)


def _take_gpu() -> None:
    """Use one GPU that no other worker uses. Raises RunError when there is none left.

    A single GPU assigned by SLURM is this process's own; several jobs of a machine may know theirs by the same number.
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
        raise RunError(f"each of the {len(names)} GPUs already has a worker. Use fewer `workers`.")
