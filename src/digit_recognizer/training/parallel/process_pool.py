"""Networks trained side by side by the processes of a pool.

A task decides every bit of its result, however many processes there are and in whatever order they finish. A process
that dies is replaced, and its network continues from the checkpoint in its folder.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from digit_recognizer.errors import RunError
from digit_recognizer.tracking.run_dir import last_checkpoint_epoch
from digit_recognizer.training.cross_validation import NetworkResult
from digit_recognizer.training.parallel import worker
from digit_recognizer.utils import environment

_INTERVAL = 0.25  # seconds between two checks for checkpoints and signals
_TRIES = 3  # consecutive deaths of processes before any of them has finished an epoch

Tasks = Mapping[str, tuple[worker.TrainingTask, Path]]  # by the networks' names, with the folders of their checkpoints


class Pool(Protocol):
    """Processes that are set up to train, on this machine or others."""

    def executor(self) -> AbstractContextManager[Executor]:
        """An executor of living processes. When the block raises, its tasks are cancelled."""

    def submit(self, executor: Executor, task: worker.TrainingTask, folder: Path) -> Future[NetworkResult]:
        """Train a network, from its newest checkpoint in `folder` if there is one."""

    def fetch_checkpoints(self, names: Collection[str]) -> None:
        """Write new checkpoints of these networks to their folders."""

    def location(self, threads: int) -> dict[str, str]:
        """The "device", cpu or gpu, and the "cpu", the processor's name, of the processes.

        Different ones are joined by "and", as a network may be trained by any of the processes.
        """

    deaths: tuple[type[Exception], ...]  # the exceptions of a future whose process has died


def train_in_pool(
    pool: Pool,
    tasks: Tasks,
    on_result: Callable[[str, NetworkResult], None],
    on_interval: Callable[[], None] = lambda: None,
) -> None:
    """Train all networks; each is passed to `on_result`, and `on_interval` is called several times a second.

    An exception of a task or callback ends the training. Raises RunError when processes die repeatedly.
    """
    left = dict(tasks)
    tries, before = 0, None
    while left:
        progress = len(left), sum(last_checkpoint_epoch(folder) for _, folder in left.values())
        tries = 1 if progress != before else tries + 1
        before = progress
        try:
            _train(pool, left, on_result, on_interval)
        except pool.deaths as error:
            if tries == _TRIES:
                raise RunError(
                    f"the workers exited {_TRIES} times before one had finished an epoch ({type(error).__name__}). "
                    "Each needs 1 to 2 GB of memory on Kaggle's data; use fewer workers."
                ) from error
            time.sleep(_INTERVAL)


def location(pool: Pool, threads: int) -> dict[str, str]:
    """As `Pool.location`. Raises RunError when the processes die at their start."""
    for _ in range(_TRIES):
        try:
            return pool.location(threads)
        except pool.deaths as error:
            death = error
    raise RunError(f"the workers exit at start-up ({type(death).__name__}). Use fewer, if memory is short.")


def _train(
    pool: Pool, left: dict[str, Any], on_result: Callable[[str, NetworkResult], None], on_interval: Callable[[], None]
) -> None:
    """One try, until all tasks are done or processes die; finished tasks are removed from `left`."""
    with pool.executor() as executor:
        futures = {pool.submit(executor, *task): name for name, task in left.items()}
        while futures:
            done, _ = wait(futures, timeout=_INTERVAL, return_when=FIRST_COMPLETED)
            pool.fetch_checkpoints([name for future, name in futures.items() if future not in done])
            on_interval()
            for future in done:
                name = futures.pop(future)
                on_result(name, future.result())
                del left[name]


class ProcessPool:
    """Processes of this machine, started by joblib's loky without fork, which TensorFlow does not support."""

    deaths: tuple[type[Exception], ...] = (BrokenExecutor, CancelledError)

    def __init__(self, n: int, setup: worker.WorkerSetup) -> None:
        self._n = n
        self._setup = setup
        self._executor: Any = None  # of living processes

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            blank = dict.fromkeys(worker.credential_variables(), "")  # the rest of the environment is inherited
            self._folder = TemporaryDirectory(prefix="digits-")
            path = Path(self._folder.name, "setup.npz")
            arguments = path, worker.write_setup(self._setup, path), os.getpid()
            start = {"initializer": worker.prepare, "initargs": arguments, "env": blank}
            self._executor = ProcessPoolExecutor(self._n, **start)
        try:
            yield self._executor
        except BaseException:
            self.close()
            raise

    def submit(self, executor: Executor, task: worker.TrainingTask, folder: Path) -> Future[NetworkResult]:
        return executor.submit(worker.train_task, task, folder.resolve())

    def fetch_checkpoints(self, names: Collection[str]) -> None:
        pass  # the processes write them there

    def location(self, threads: int) -> dict[str, str]:
        with self.executor() as executor:
            return {"device": executor.submit(worker.device, threads).result(), "cpu": environment.cpu()}

    def close(self) -> None:
        """Kill the processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None
            self._folder.cleanup()
