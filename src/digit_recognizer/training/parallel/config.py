"""Where networks are trained: in this process, in others of this machine, or by the workers of a Dask cluster."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.errors import InputError
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.training.parallel import process_pool, worker
from digit_recognizer.utils import environment
from digit_recognizer.utils.reporter import SILENT, Reporter

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class TlsFiles:
    """Files of certificates; those that are None are taken from Dask's own configuration."""

    ca_file: Path | None = None  # who signed the cluster's
    cert: Path | None = None  # our own
    key: Path | None = None


@dataclass(frozen=True)
class ExecutionConfig:
    """Where networks are trained.

    Raises InputError for settings that contradict each other, or would send data and code unencrypted over a network.
    """

    workers: int = 1  # processes of this machine; 1: in this process
    dask_scheduler: str | None = None  # its address
    tls: TlsFiles = TlsFiles()
    insecure: bool = False

    def __post_init__(self) -> None:
        files = [self.tls.ca_file, self.tls.cert, self.tls.key]
        if self.dask_scheduler is None:
            if self.insecure or any(files):
                raise InputError(
                    "`insecure` and `tls_...` say how a Dask scheduler is reached; name it with `dask_scheduler`."
                )
            return
        if self.workers != 1:
            raise InputError("`workers` is for this machine; a cluster has as many as were started there.")
        scheme, host = _parts(self.dask_scheduler)
        if scheme == "tcp" and any(files):
            raise InputError(f"`dask_scheduler` {self.dask_scheduler}: certificates are for an address with tls://.")
        if scheme == "tcp" and host not in _LOOPBACK and not self.insecure:
            raise InputError(
                f"`dask_scheduler` {self.dask_scheduler}: whoever reaches this network can read the data and run code "
                "on the workers and here. Use tls:// (docs/scaling.md), or `insecure` where you trust everyone on it."
            )
        for file in files:
            if file and not file.is_file():
                raise InputError(f"{file}: not found. Check the paths of the certificates.")
        if find_spec("distributed") is None:
            raise InputError("`dask_scheduler` needs Dask: pip install distributed")

    def limited_to(self, n_networks: int) -> "ExecutionConfig":
        """The same with no more workers than networks or, where there are any, GPUs of this machine."""
        n_gpus = len(worker.gpus())
        return replace(self, workers=min(self.workers, n_networks, n_gpus or self.workers))

    def with_threads(self, recipe: Recipe) -> Recipe:
        """The recipe with the number of threads of each network, where it has none and workers share the CPU."""
        if recipe.threads or (self.workers == 1 and not self.dask_scheduler):
            return recipe
        threads = 1 if self.dask_scheduler else max(1, environment.threads() // self.workers)
        return replace(recipe, threads=threads)


IN_PROCESS = ExecutionConfig()


@contextmanager
def open_pool(
    config: ExecutionConfig, train: LabelledTable, test: Table, reporter: Reporter = SILENT
) -> Iterator[process_pool.Pool | None]:
    """The pool of workers, which have the data; None where this process trains itself.

    Raises RunError when the scheduler does not answer, InputError when its workers are not fit.
    """
    if config.dask_scheduler:
        from digit_recognizer.training.parallel.dask_pool import connect

        reporter.info(f"Connecting to the workers of {config.dask_scheduler}.")
        setup = worker.worker_setup(train, test)
        with connect(config.dask_scheduler, asdict(config.tls), setup) as pool:
            yield pool
    elif config.workers == 1:
        yield None
    else:
        with closing(process_pool.ProcessPool(config.workers, worker.worker_setup(train, test))) as pool:
            yield pool


def _parts(address: str) -> tuple[str, str]:
    """Scheme and host of a scheduler's address. Raises InputError when it is none."""
    try:
        parts = urlsplit(address)
        is_bare = "@" not in parts.netloc and not (parts.path or parts.query or parts.fragment)
        if parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and is_bare:
            return parts.scheme, parts.hostname
    except ValueError:
        pass
    raise InputError(
        f"`dask_scheduler` {address}: expected tcp://HOST:PORT or tls://HOST:PORT, as `dask scheduler` prints it."
    )
