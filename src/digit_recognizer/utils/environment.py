"""The environment of a run: code, package versions, CPU, threads and environment variables."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
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
    """The conditions besides recipe and data on which the results of a training depend."""

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
    """Return the versions of Python, the packages and Keras's backend; None for one that is not installed.

    Raises InputError for an unknown backend.
    """
    found: dict[str, str | None] = {"digit-recognizer": __version__, "python": platform.python_version()}
    for package in dict.fromkeys((*PACKAGES, backend())):
        found[package] = installed_version(package)
    return found


def installed_version(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def backend() -> str:
    """Return Keras's backend by Keras's own rule: KERAS_BACKEND, else keras.json, else TensorFlow.

    Raises InputError for an unknown backend.
    """
    file = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"), "keras.json")
    name = os.environ.get("KERAS_BACKEND")
    with suppress(OSError, ValueError, LookupError, TypeError):
        name = name or json.loads(file.read_text(encoding="utf-8"))["backend"]
    name = name or _BACKENDS[0]
    if name not in _BACKENDS:
        raise InputError(
            f"KERAS_BACKEND or {file}: expected one of {', '.join(_BACKENDS)} as Keras's backend, received {name!r}."
        )
    return name


def require_backend() -> None:
    """Raise InputError if Keras's backend is unknown or not installed."""
    if find_spec(backend()) is None:
        raise InputError(
            f"Keras's backend {backend()} is not installed. `pip install {backend()}`, or set KERAS_BACKEND to another "
            f"of {', '.join(_BACKENDS)}."
        )


@cache  # later commits do not change the loaded code
def code() -> str | None:
    """Return the commit of this code, with + for uncommitted changes; None outside a git checkout."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # installed, perhaps within another repository
    commit = _git("rev-parse", "--short=12", "HEAD")
    return commit and commit + ("+" if _git("status", "--porcelain", "--untracked-files=no", ".") else "")


def cpu() -> str:
    """Return the name of the processor."""
    linux = Path("/proc/cpuinfo")
    text = linux.read_text(encoding="utf-8", errors="replace") if linux.exists() else ""
    found = re.search(r"^model name\s*:(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def threads() -> int:
    """Return the number of CPUs that this process may use, within a container's quota."""
    import joblib

    return int(joblib.cpu_count())


def _git(*words: str) -> str | None:
    """Return the output of git in the folder of this code; None if git fails or is missing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words], cwd=_HERE, env=environment, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
