"""Networks trained side by side, by the processes of a pool.

Comes in: jobs and the folders of their checkpoints. Goes out: outcomes, as they come. However many processes there are,
in whatever order they end, and whether they die: a job decides every bit of its outcome. Who dies is replaced, and its
network goes on from the checkpoint in its folder.
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
from digit_recognizer.tracking import run_dir
from digit_recognizer.training.cross_validation import NetworkResult
from digit_recognizer.training.parallel import worker
from digit_recognizer.utils import environment

_MOMENT = 0.25  # seconds between two looks at checkpoints and signals
_TRIES = 3  # times in a row that processes die before any of them has finished an epoch

Jobs = Mapping[str, tuple[worker.TrainingTask, Path]]  # by the networks' names: each with the folder of its checkpoints


class Pool(Protocol):
    """Processes that are prepared to train, here or elsewhere."""

    def executor(self) -> AbstractContextManager[Executor]:
        """Processes that live. When the body raises, what they were given is no longer done."""

    def submit(self, executor: Executor, job: worker.TrainingTask, folder: Path) -> Future[NetworkResult]:
        """Have a network trained, from its newest checkpoint in `folder` if there is one."""

    def bring(self, names: Collection[str]) -> None:
        """Bring the checkpoints of these networks that came since to their folders."""

    def where(self, threads: int) -> dict[str, str]:
        """Where the processes compute, as the ledger tells it: device, cpu or gpu, and cpu, the processor's name.

        Several are joined by "and", as a network may then be trained by any of them.
        """

    deaths: tuple[type[Exception], ...]  # what a future raises whose process has died


def train_in_pool(
    pool: Pool,
    jobs: Jobs,
    on_outcome: Callable[[str, NetworkResult], None],
    on_moment: Callable[[], None] = lambda: None,
) -> None:
    """Have all jobs done; `on_outcome` gets each network as it comes, `on_moment` is called several times a second.

    What a job or a callback raises ends all. Raises RunError when processes die again and again.
    """
    left = dict(jobs)
    tries, before = 0, None
    while left:
        progress = len(left), sum(run_dir.last_checkpoint_epoch(folder) for _, folder in left.values())
        tries = 1 if progress != before else tries + 1
        before = progress
        try:
            _train(pool, left, on_outcome, on_moment)
        except pool.deaths as error:
            if tries == _TRIES:
                raise RunError(
                    f"those who train died {_TRIES} times before one had finished an epoch ({type(error).__name__}). "
                    "Each needs 1 to 2 GB of memory on Kaggle's data; use fewer workers."
                ) from error
            time.sleep(_MOMENT)


def where(pool: Pool, threads: int) -> dict[str, str]:
    """Where a pool computes. Raises RunError when its processes die at their start."""
    for _ in range(_TRIES):
        try:
            return pool.where(threads)
        except pool.deaths as error:
            death = error
    raise RunError(f"those who are to train die at their start ({type(death).__name__}). Is there memory for so many?")


def _train(
    pool: Pool, left: dict[str, Any], on_outcome: Callable[[str, NetworkResult], None], on_moment: Callable[[], None]
) -> None:
    """One try, until all is done or processes die; takes what is done out of `left`."""
    with pool.executor() as executor:
        futures = {pool.submit(executor, *job): name for name, job in left.items()}
        while futures:
            done, _ = wait(futures, timeout=_MOMENT, return_when=FIRST_COMPLETED)
            pool.bring([name for future, name in futures.items() if future not in done])
            on_moment()
            for future in done:
                name = futures.pop(future)
                on_outcome(name, future.result())
                del left[name]


class ProcessPool:
    """Processes of this machine, by joblib's loky: none is forked, as TensorFlow does not survive that."""

    deaths: tuple[type[Exception], ...] = (BrokenExecutor, CancelledError)

    def __init__(self, n: int, setup: worker.WorkerSetup) -> None:
        self._n = n
        self._setup = setup
        self._executor: Any = None  # of those that live

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        from joblib.externals.loky import ProcessPoolExecutor

        if self._executor is None:
            blank = dict.fromkeys(worker.credential_variables(), "")  # as its environment begins with ours
            self._folder = TemporaryDirectory(prefix="digits-")
            place = Path(self._folder.name, "setup.npz")
            few = place, worker.write_setup(self._setup, place), os.getpid()
            start = {"initializer": worker.prepare, "initargs": few, "env": blank}
            self._executor = ProcessPoolExecutor(self._n, **start)
        try:
            yield self._executor
        except BaseException:
            self.close()
            raise

    def submit(self, executor: Executor, job: worker.TrainingTask, folder: Path) -> Future[NetworkResult]:
        return executor.submit(worker.train_task, job, folder.resolve())

    def bring(self, names: Collection[str]) -> None:
        pass  # they are written there

    def where(self, threads: int) -> dict[str, str]:
        with self.executor() as executor:
            return {"device": executor.submit(worker.device, threads).result(), "cpu": environment.cpu()}

    def close(self) -> None:
        """End the processes, whatever they are at."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None
            self._folder.cleanup()
