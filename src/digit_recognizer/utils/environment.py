"""The environment of a run, on which its results depend besides recipe and data: code, packages, CPU, threads."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from digit_recognizer import __version__
from digit_recognizer.errors import InputError

PACKAGES = (
    *("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "scipy", "joblib"),
    *("kaggle", "filelock", "click", "rich", "matplotlib", "jinja2"),
)
# Environment variables that change how libraries compute, and so the results.
SETTINGS = (
    *("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_XLA_FLAGS", "XLA_FLAGS"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"),
    *("JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES"),
)
_BACKENDS = ("tensorflow", "jax", "torch")
_HERE = Path(__file__).resolve().parents[1]  # the package


@dataclass(frozen=True)
class Environment:
    """What the results of a training depend on besides recipe and data."""

    code: str | None  # the commit, with + for uncommitted changes
    versions: Mapping[str, str | None]  # of the backend, Python and packages
    cpu: str
    threads: int
    settings: Mapping[str, str]  # the variables of SETTINGS that are set


def current_environment() -> Environment:
    """The environment of this process."""
    settings = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    return Environment(code(), {"backend": backend(), **versions()}, cpu(), threads(), settings)


def versions() -> dict[str, str | None]:
    """The version of Python, of each package, and of another backend of Keras; None for one that is not installed.

    Raises InputError as `backend` does.
    """
    found: dict[str, str | None] = {"digit-recognizer": __version__, "python": platform.python_version()}
    for package in dict.fromkeys((*PACKAGES, backend())):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def backend() -> str:
    """Keras's backend, as Keras chooses it: KERAS_BACKEND, else its keras.json, else TensorFlow.

    Raises InputError for an unknown backend.
    """
    name, where = _backend()
    if name not in _BACKENDS:
        raise InputError(f"{where}: expected one of {', '.join(_BACKENDS)} as Keras's backend, received {name!r}.")
    return name


def require_backend() -> None:
    """Raise InputError when Keras's backend is unknown or not installed."""
    if find_spec(backend()) is None:
        name, where = _backend()
        raise InputError(
            f"{where}: Keras's backend {name} is not installed. `pip install {name}`, or name another "
            f"of {', '.join(_BACKENDS)} there."
        )


def _backend() -> tuple[str, str]:
    """The name of the backend, and where it is set."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name, "KERAS_BACKEND"
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras.json")
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["backend"]), str(file)
    except (OSError, ValueError, LookupError, TypeError):
        return _BACKENDS[0], "KERAS_BACKEND"


@cache  # the code as loaded at the start
def code() -> str | None:
    """The commit of this code, with + for uncommitted changes; None outside a git checkout."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # installed, perhaps into another repository
    commit = _git("rev-parse", "--short=12", "HEAD")
    return commit and commit + ("+" if _git("status", "--porcelain", "--untracked-files=no", ".") else "")


def cpu() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def threads() -> int:
    """The number of CPUs this process may use, within a container's quota."""
    import joblib

    return int(joblib.cpu_count())


def _git(*words: str) -> str | None:
    """The output of git in the folder of this code; None when git fails or is missing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words], cwd=_HERE, env=environment, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
