"""The workers of a Dask cluster. Alone imports `distributed`, which opens connections to the cluster one names.

Each worker trains in a process of its own, a pool of one, as Dask's threads disturb what Keras draws at random. The
data reaches a worker once, as a plugin that the scheduler hands to those who come later, too. A checkpoint is a
variable of the scheduler, so that whoever takes over a dead worker's network finds it; a copy of each is brought to the
run's folder.
"""

import logging
import multiprocessing
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from distributed import Client, KilledWorker, Variable, WorkerPlugin, get_worker
from distributed.security import Security

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.training import checkpoints
from digit_recognizer.training.cross_validation import NetworkResult
from digit_recognizer.training.parallel import process_pool, worker
from digit_recognizer.utils.console import say

_OURS = "digits-"  # begins the names of what is left with a scheduler; the client's number follows
_MOMENT = 0.25  # seconds between two looks at the connection
_PATIENCE = 30  # seconds for a scheduler to answer, and for a first worker to come
_here: dict[
    str, "process_pool.ProcessPool | Exception"
] = {}  # of a worker, by who asks: the process, or why there is none


class _Unwanted(Exception):
    """Nobody waits for this network any more."""


class _Prepared(WorkerPlugin):  # type: ignore[misc]
    """Prepares each worker as it comes, and ends its process when the client goes."""

    def __init__(self, name: str, setup: worker.WorkerSetup) -> None:
        self.name, self._setup = name, setup

    def setup(self, worker: Any) -> None:
        _prepare(self.name, self._setup, worker)

    def teardown(self, worker: Any) -> None:
        if isinstance(pool := _here.pop(self.name, None), process_pool.ProcessPool):
            pool.close()


def _prepare(name: str, setup: worker.WorkerSetup, here: Any) -> None:
    """Make a worker ready. Raises InputError when it is not fit; one that came later raises that again at its work."""
    try:
        _check(setup, here)
    except InputError as error:
        _here[name] = error
        raise
    worker.remove_credentials()
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # may start processes
    _here[name] = process_pool.ProcessPool(1, setup)


def _pool(name: str) -> process_pool.ProcessPool:
    found = _here.get(name)
    if found is None:
        raise RunError("the scheduler took its user for dead, and released the workers. Go on with --resume.")
    if isinstance(found, Exception):
        raise found
    return found


def _check(setup: worker.WorkerSetup, here: Any) -> None:
    if here.state.nthreads != 1:
        raise InputError(
            f"worker {here.address} takes {here.state.nthreads} networks at a time. Start it with --nthreads 1; how "
            "many threads train a network is said by the recipe."
        )
    worker.check_worker(setup)


@contextmanager
def connect(address: str, tls: Mapping[str, Path | None], setup: worker.WorkerSetup) -> "Iterator[DaskPool]":
    """The workers of the scheduler at `address`, prepared; `tls` holds the files ca_file, cert and key, or None.

    Raises RunError when none answers or no worker is there, InputError when a worker is not fit.
    """
    names = {"ca_file": "tls_ca_file", "cert": "tls_client_cert", "key": "tls_client_key"}
    given = {names[part]: str(file) for part, file in tls.items() if file}
    try:
        security = Security(require_encryption=address.startswith("tls"), **given)
        if address.startswith("tls") and not security.get_connection_args("client")["ssl_context"]:
            raise ValueError("all three are needed")
    except (OSError, TypeError, ValueError) as error:  # ssl's is an OSError
        told = "name certificates by --tls-ca-file, --tls-cert and --tls-key, or in Dask's configuration"
        raise InputError(f"--cluster {address}: no certificates, or none that fit ({error}): {told}.") from error
    for part in ("distributed", "distributed.client"):
        logging.getLogger(part).setLevel(logging.CRITICAL)  # what they log is raised, too
    say(f"Asking {address} for workers.")
    try:
        client = Client(address, security=security, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise RunError(
            f"--cluster {address}: no scheduler answers ({error}). Start one: dask scheduler; one with "
            "certificates is reached by tls://."
        ) from error
    name = f"{_OURS}{client.id}"
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            start = f"dask worker {address} --nthreads 1"
            raise RunError(f"--cluster {address}: no worker is there. Start some: {start}") from error
        try:
            _forget_the_dead(client)
            try:
                client.register_plugin(_Prepared(name, setup), name=name)
            except ImportError as error:
                told = f"--cluster {address}: a worker lacks this program ({error}). Install it there."
                raise RunError(told) from error
            yield DaskPool(client, name)
        finally:
            _unregister(client, name)


def _forget_the_dead(client: Client) -> None:
    """Remove what prepares workers for clients that were killed, with their data, and their checkpoints."""
    plugins, variables, clients = client.run_on_scheduler(
        lambda dask_scheduler: [
            [*dask_scheduler.worker_plugins],
            [*dask_scheduler.extensions["variables"].variables],
            [*dask_scheduler.clients],
        ]
    )
    alive = tuple(f"{_OURS}{one}" for one in clients)
    for name in plugins:
        if name.startswith(_OURS) and not name.startswith(alive):
            _unregister(client, name)
    for name in variables:
        if name.startswith(_OURS) and not name.startswith(alive):
            Variable(name, client=client).delete()


def _unregister(client: Client, name: str) -> None:
    """Release the workers, unless the scheduler is gone, or another has done so."""
    with suppress(OSError, RuntimeError, ValueError):
        client.unregister_worker_plugin(name)


class DaskPool:
    """A pool of the workers of a scheduler, those included that come later."""

    deaths: tuple[type[Exception], ...] = (BrokenExecutor, CancelledError, KilledWorker)

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name
        self._try = ""  # another for each executor, so that nothing of an earlier one is taken for its own
        self._news: SimpleQueue[str] = SimpleQueue()  # the names of networks with a new checkpoint
        self._folders: dict[str, Path] = {}

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        while self._client.status == "connecting":  # for as long as its own patience
            time.sleep(_MOMENT)
        if self._client.status != "running":
            raise RunError("the scheduler is gone. Start it and its workers again, and go on with --resume.")
        executor = self._client.get_executor(pure=False)
        self._try, self._news = f"{self._name}-{uuid4()}", SimpleQueue()
        self._client.subscribe_topic(self._try, lambda event, news=self._news: news.put(event[1]["member"]))
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)  # cancels what is not done
            with suppress(OSError, RuntimeError):
                self._client.unsubscribe_topic(self._try)
                for member in self._folders:
                    self._variable(member).delete()
            self._folders.clear()

    def submit(self, executor: Executor, job: worker.TrainingTask, folder: Path) -> Future[NetworkResult]:
        self._folders[job.member.name] = folder
        self._variable(job.member.name).set(checkpoints.pack_latest_checkpoint(folder))
        return executor.submit(_work, job, self._name, self._try)

    def bring(self, names: Collection[str]) -> None:
        told = set()
        with suppress(Empty):
            while True:
                told.add(self._news.get_nowait())
        for member in told & set(names):
            epoch, content = self._variable(member).get(timeout=_PATIENCE)
            checkpoints.save_packed_checkpoint(self._folders[member], epoch, content)

    def where(self, threads: int) -> dict[str, str]:
        self._client.wait_for_workers(1, timeout=_PATIENCE)
        asked = [
            self._client.submit(_where, self._name, threads, pure=False, workers=[one], allow_other_workers=True)
            for one in self._client.nthreads()
        ]
        found = [one.result() for one in asked]  # `gather` tells of Ctrl-C by a traceback
        return {name: " and ".join(sorted({one[name] for one in found})) for name in ("device", "cpu")}

    def _variable(self, member: str) -> Variable:
        return Variable(f"{self._try}-{member}", client=self._client)


def _work(job: worker.TrainingTask, name: str, attempt: str) -> NetworkResult:
    """On a worker: have a network trained, and send each checkpoint to the scheduler."""
    pool = _pool(name)
    here = get_worker()
    key = here.get_current_task()
    variable = Variable(f"{attempt}-{job.member.name}")
    told, content = variable.get(timeout=_PATIENCE)
    outcomes = []

    with TemporaryDirectory() as place:
        folder = Path(place)
        if told:
            checkpoints.save_packed_checkpoint(folder, told, content)

        def on_moment() -> None:
            nonlocal told
            task = here.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                raise _Unwanted
            epoch, content = checkpoints.pack_latest_checkpoint(folder)
            if epoch > told:
                variable.set([epoch, content])
                here.log_event(attempt, {"member": job.member.name, "epoch": epoch})
                told = epoch

        process_pool.train_in_pool(pool, {"": (job, folder)}, lambda _, outcome: outcomes.append(outcome), on_moment)
    return outcomes[0]


def _where(name: str, threads: int) -> dict[str, str]:
    return process_pool.where(_pool(name), threads)
