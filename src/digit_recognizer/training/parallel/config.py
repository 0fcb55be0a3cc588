"""Where networks are trained: in this process, in others of this machine, or by the workers of a Dask cluster."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.training.parallel import process_pool, worker
from digit_recognizer.utils import environment
from digit_recognizer.utils.reporter import SILENT, Reporter

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class ExecutionConfig:
    """Where networks are trained.

    Raises InputError for settings that contradict each other, or would send data and code unencrypted over a network.
    """

    workers: int = 1  # processes of this machine; 1: in this process
    dask_scheduler: str | None = None  # its address
    tls: Mapping[str, str] = field(default_factory=dict)  # arguments of Dask's Security, such as tls_ca_file
    insecure: bool = False  # allows tcp:// to other machines

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError(f"workers: expected at least 1, received {self.workers}.")
        if self.dask_scheduler is None:
            return
        if self.workers != 1:
            raise InputError("`workers` is for this machine; the size of a cluster is set where it is started.")
        address = re.fullmatch(r"(tcp|tls)://([^/@]+):(\d+)", self.dask_scheduler)
        if address is None:
            raise InputError(
                f"`dask_scheduler` {self.dask_scheduler}: expected tcp://HOST:PORT or tls://HOST:PORT, as printed by "
                "`dask scheduler`."
            )
        if address[1] == "tcp" and address[2] not in _LOOPBACK and not self.insecure:
            raise InputError(
                f"`dask_scheduler` {self.dask_scheduler}: everyone on this network can read the data and run code "
                "on the workers and on this machine. Use tls:// (docs/scaling.md), or `insecure` if you trust them."
            )
        if find_spec("distributed") is None:
            raise InputError("`dask_scheduler` needs Dask: pip install distributed")

    def limited_to(self, n_networks: int) -> "ExecutionConfig":
        """The config with at most as many workers as there are networks and, on a machine with GPUs, GPUs."""
        n_gpus = len(worker.gpus())
        return replace(self, workers=min(self.workers, n_networks, n_gpus or self.workers))

    def with_threads(self, recipe: Recipe) -> Recipe:
        """The recipe; where workers share the CPU, with `threads` set to the share of each, unless it sets them."""
        if recipe.threads or (self.workers == 1 and not self.dask_scheduler):
            return recipe
        threads = 1 if self.dask_scheduler else max(1, environment.threads() // self.workers)
        return replace(recipe, threads=threads)


IN_PROCESS = ExecutionConfig()


@contextmanager
def open_pool(
    config: ExecutionConfig, train: LabelledTable, test: Table, reporter: Reporter = SILENT
) -> Iterator[process_pool.Pool | None]:
    """A pool of workers that have the data; None to train in this process.

    Raises RunError when the scheduler does not answer, InputError when a worker is unsuitable.
    """
    if config.dask_scheduler:
        from digit_recognizer.training.parallel.dask_pool import connect

        reporter.info(f"Connecting to the workers of {config.dask_scheduler}.")
        with connect(config.dask_scheduler, config.tls, worker.WorkerSetup(train, test)) as pool:
            yield pool
    elif config.workers == 1:
        yield None
    else:
        with closing(process_pool.ProcessPool(config.workers, worker.WorkerSetup(train, test))) as pool:
            yield pool
