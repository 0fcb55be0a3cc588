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

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class TlsFiles:
    """Files of certificates; those that are None are taken from Dask's own configuration."""

    ca_file: Path | None = None  # who signed the cluster's
    cert: Path | None = None  # our own
    key: Path | None = None


@dataclass(frozen=True)
class ExecutionConfig:
    """What the user asked for.

    Raises InputError when that is contradictory, or would send data and code in the clear over a network.
    """

    workers: int = 1  # 1: in this process
    cluster: str | None = None  # the scheduler's address
    tls: TlsFiles = TlsFiles()
    insecure: bool = False

    def __post_init__(self) -> None:
        files = [self.tls.ca_file, self.tls.cert, self.tls.key]
        if self.cluster is None:
            if self.insecure or any(files):
                raise InputError("--insecure and --tls-... say how a cluster is reached; name it with --cluster.")
            return
        if self.workers != 1:
            raise InputError("--workers is for this machine; a cluster has as many as were started there.")
        scheme, host = _parts(self.cluster)
        if scheme == "tcp" and any(files):
            raise InputError(f"--cluster {self.cluster}: the --tls-... options are for an address with tls://.")
        if scheme == "tcp" and host not in _LOOPBACK and not self.insecure:
            raise InputError(
                f"--cluster {self.cluster}: whoever reaches this network can read the data and run code on the "
                "workers and here. Use tls:// (docs/scaling.md), or --insecure where you trust everyone on it."
            )
        for file in files:
            if file and not file.is_file():
                raise InputError(f"{file}: not found. Check the --tls-... options.")
        if find_spec("distributed") is None:
            raise InputError("--cluster needs Dask: pip install distributed")

    def used_by(self, n_networks: int) -> "ExecutionConfig":
        """These with no more workers than networks or, where there are any, GPUs of this machine."""
        n_gpus = len(worker.gpus())
        return replace(self, workers=min(self.workers, n_networks, n_gpus or self.workers))

    def with_threads(self, recipe: Recipe) -> Recipe:
        """The recipe with the threads of each network, where it does not say how many."""
        if recipe.threads or (self.workers == 1 and not self.cluster):
            return recipe
        return replace(recipe, threads=1 if self.cluster else max(1, environment.threads() // self.workers))


IN_PROCESS = ExecutionConfig()  # in this process


@contextmanager
def open_pool(places: ExecutionConfig, train: LabelledTable, test: Table) -> Iterator[process_pool.Pool | None]:
    """The pool of processes at these places; None where this process is to train itself.

    Raises RunError when a cluster does not answer, InputError when its workers are not fit.
    """
    if places.cluster:
        from digit_recognizer.training.parallel.dask_pool import connect

        with connect(places.cluster, asdict(places.tls), worker.worker_setup(train, test)) as cluster:
            yield cluster
    elif places.workers == 1:
        yield None
    else:
        with closing(process_pool.ProcessPool(places.workers, worker.worker_setup(train, test))) as pool:
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
    raise InputError(f"--cluster {address}: expected tcp://HOST:PORT or tls://HOST:PORT, as `dask scheduler` tells it.")
