"""The workers of a Dask cluster. Only this module imports `distributed`, which connects to the given scheduler.

Each worker trains in a child process, a pool of one, as Dask's threads disturb Keras's random seeds. The data is sent
to a worker once, by a plugin, also to workers that join later. A checkpoint is a variable of the scheduler, from which
another worker continues the network of one that died; each is also written to the run folder.
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
from digit_recognizer.training.parallel import process_pool
from digit_recognizer.training.parallel.process_pool import ProcessPool
from digit_recognizer.training.parallel.worker import TrainingTask, WorkerSetup, check_worker, remove_credentials

_PREFIX = "digits-"  # of the names of plugins and variables; the client's id follows
_INTERVAL = 0.25  # seconds between two checks of the connection
_TIMEOUT = 30  # seconds for a scheduler to answer, and for a first worker to join
_pools: dict[str, ProcessPool | Exception] = {}  # of a worker, by plugin: the pool of one, or the error of its setup


class _CancelledError(Exception):
    """Raised on a worker when the client no longer waits for its network."""


class _SetupPlugin(WorkerPlugin):  # type: ignore[misc]
    """Sets up each worker as it joins, and ends its process when the client disconnects."""

    def __init__(self, name: str, setup: WorkerSetup) -> None:
        self.name, self._setup = name, setup

    def setup(self, worker: Any) -> None:
        """Raises InputError when the worker is unsuitable; one that joins later raises it again with each task."""
        try:
            if worker.state.nthreads != 1:
                raise InputError(
                    f"worker {worker.address} takes {worker.state.nthreads} networks at a time. Start it with "
                    "--nthreads 1; the recipe sets the threads of a network."
                )
            check_worker(self._setup)
        except InputError as error:
            _pools[self.name] = error
            raise
        remove_credentials()
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # may start processes
        _pools[self.name] = ProcessPool(1, self._setup)

    def teardown(self, worker: Any) -> None:
        if isinstance(pool := _pools.pop(self.name, None), ProcessPool):
            pool.close()


def _pool(name: str) -> ProcessPool:
    found = _pools.get(name)
    if found is None:
        raise RunError("the scheduler lost its client and released the workers. Resume the run.")
    if isinstance(found, Exception):
        raise found
    return found


@contextmanager
def connect(address: str, tls: Mapping[str, str], setup: WorkerSetup) -> "Iterator[DaskPool]":
    """The workers of the scheduler at `address`, set up; `tls` holds arguments of Dask's Security.

    Raises RunError when no scheduler answers or it has no worker, InputError when a worker is unsuitable.
    """
    security = _security(address, tls)
    for logger in ("distributed", "distributed.client"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # they log what is also raised
    try:
        client = Client(address, security=security, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise RunError(
            f"`dask_scheduler` {address}: no scheduler answers ({error}). Start one: dask scheduler; use tls:// "
            "for one with certificates."
        ) from error
    name = f"{_PREFIX}{client.id}"
    with client:
        try:
            client.wait_for_workers(1, timeout=_TIMEOUT)
        except TimeoutError as error:
            start = f"dask worker {address} --nthreads 1"
            raise RunError(f"`dask_scheduler` {address}: it has no worker. Start some: {start}") from error
        try:
            _remove_leftovers(client)
            try:
                client.register_plugin(_SetupPlugin(name, setup), name=name)
            except ImportError as error:
                raise RunError(
                    f"`dask_scheduler` {address}: a worker lacks this package ({error}). Install it there."
                ) from error
            yield DaskPool(client, name)
        finally:
            _unregister(client, name)


def _security(address: str, tls: Mapping[str, str]) -> Security:
    """The certificates. Raises InputError when they are invalid, or an address with tls:// has none."""
    try:
        security = Security(require_encryption=address.startswith("tls"), **tls)
        if address.startswith("tls") and not security.get_connection_args("client")["ssl_context"]:
            raise ValueError("all three are needed")
    except (OSError, TypeError, ValueError) as error:  # SSLError is an OSError
        raise InputError(
            f"`dask_scheduler` {address}: missing or invalid certificates ({error}). Set them with `tls_ca_file`, "
            "`tls_cert` and `tls_key`, or in Dask's configuration."
        ) from error
    return security


def _remove_leftovers(client: Client) -> None:
    """Remove the plugins, with their data, and the checkpoints of clients that were killed."""

    def stale(dask_scheduler: Any) -> list[list[str]]:
        alive = tuple(f"{_PREFIX}{client}" for client in dask_scheduler.clients)
        return [
            [name for name in names if name.startswith(_PREFIX) and not name.startswith(alive)]
            for names in (dask_scheduler.worker_plugins, dask_scheduler.extensions["variables"].variables)
        ]

    plugins, variables = client.run_on_scheduler(stale)
    for name in plugins:
        _unregister(client, name)
    for name in variables:
        Variable(name, client=client).delete()


def _unregister(client: Client, name: str) -> None:
    """Release the workers, unless the scheduler has ended or another client has released them."""
    with suppress(OSError, RuntimeError, ValueError):
        client.unregister_worker_plugin(name)


class DaskPool:
    """A pool of the workers of a scheduler, including those that join later."""

    deaths: tuple[type[Exception], ...] = (BrokenExecutor, CancelledError, KilledWorker)

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name
        self._try = ""  # prefix of the names of variables and events; differs for each executor
        self._events: SimpleQueue[str] = SimpleQueue()  # the names of networks with a new checkpoint
        self._folders: dict[str, Path] = {}

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        while self._client.status == "connecting":  # until its own time-out
            time.sleep(_INTERVAL)
        if self._client.status != "running":
            raise RunError("the scheduler has ended. Start it and its workers again, and resume the run.")
        executor = self._client.get_executor(pure=False)
        self._try, self._events = f"{self._name}-{uuid4()}", SimpleQueue()
        self._client.subscribe_topic(self._try, lambda event, events=self._events: events.put(event[1]["network"]))
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)  # cancels the tasks that are left
            with suppress(OSError, RuntimeError):
                self._client.unsubscribe_topic(self._try)
                for network in self._folders:
                    self._variable(network).delete()
            self._folders.clear()

    def submit(self, executor: Executor, task: TrainingTask, folder: Path) -> Future[NetworkResult]:
        self._folders[task.network.name] = folder
        self._variable(task.network.name).set(checkpoints.pack_latest_checkpoint(folder))
        return executor.submit(_train, task, self._name, self._try)

    def fetch_checkpoints(self, names: Collection[str]) -> None:
        new = set()
        with suppress(Empty):
            while True:
                new.add(self._events.get_nowait())
        for network in new & set(names):
            epoch, content = self._variable(network).get(timeout=_TIMEOUT)
            checkpoints.save_packed_checkpoint(self._folders[network], epoch, content)

    def location(self, threads: int) -> dict[str, str]:
        self._client.wait_for_workers(1, timeout=_TIMEOUT)
        futures = [
            self._client.submit(_location, self._name, threads, pure=False, workers=[one], allow_other_workers=True)
            for one in self._client.nthreads()
        ]
        found = [future.result() for future in futures]  # `gather` prints a traceback after Ctrl-C
        return {name: " and ".join(sorted({one[name] for one in found})) for name in ("device", "cpu")}

    def _variable(self, network: str) -> Variable:
        return Variable(f"{self._try}-{network}", client=self._client)


def _train(task: TrainingTask, name: str, attempt: str) -> NetworkResult:
    """On a worker: train a network in its child process, and send each checkpoint to the scheduler."""
    pool = _pool(name)
    here = get_worker()
    key = here.get_current_task()
    variable = Variable(f"{attempt}-{task.network.name}")
    sent, content = variable.get(timeout=_TIMEOUT)
    results = []

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if sent:
            checkpoints.save_packed_checkpoint(folder, sent, content)

        def on_interval() -> None:
            nonlocal sent
            state = here.state.tasks.get(key)
            if state is None or state.state == "cancelled":
                raise _CancelledError
            epoch, content = checkpoints.pack_latest_checkpoint(folder)
            if epoch > sent:
                variable.set([epoch, content])
                here.log_event(attempt, {"network": task.network.name, "epoch": epoch})
                sent = epoch

        process_pool.train_in_pool(pool, {"": (task, folder)}, lambda _, result: results.append(result), on_interval)
    return results[0]


def _location(name: str, threads: int) -> dict[str, str]:
    return process_pool.location(_pool(name), threads)
