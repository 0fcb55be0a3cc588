"""What a run's bits depend on besides recipe and data: the code, the packages, the CPU, its threads."""

import json
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from digit_recognizer import __version__
from digit_recognizer.errors import InputError

PACKAGES = (
    *("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "scipy", "joblib"),
    *("kaggle", "click", "rich", "matplotlib", "jinja2"),
)
# Variables of the environment that choose how libraries compute, and so change the bits.
SETTINGS = (
    *("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_XLA_FLAGS", "XLA_FLAGS"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"),
    *("JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES"),
)
_BACKENDS = ("tensorflow", "jax", "torch")
_HERE = Path(__file__).resolve().parents[1]  # the package


def current_environment() -> dict[str, Any]:
    """All that stands here, by the names of the ledger's columns."""
    return {
        "code": code(),
        "versions": {"backend": backend(), **versions()},
        "cpu": cpu(),
        "threads": threads(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


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
    """The package by which Keras computes, as Keras finds it: KERAS_BACKEND, else its keras.json, else TensorFlow.

    Raises InputError when that is none which trains.
    """
    name, where = _backend()
    if name not in _BACKENDS:
        raise InputError(f"{where}: expected one of {', '.join(_BACKENDS)} as Keras's backend, received {name!r}.")
    return name


def require_backend() -> None:
    """Raise InputError when the package by which Keras computes is none that trains, or is not installed."""
    if find_spec(backend()) is None:
        name, where = _backend()
        raise InputError(
            f"{where}: Keras is to compute with {name}, which is not installed. `pip install {name}`, or name another "
            f"of {', '.join(_BACKENDS)} there."
        )


def _backend() -> tuple[str, str]:
    """The name of the backend, and where that stands."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name, "KERAS_BACKEND"
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras.json")
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["backend"]), str(file)
    except (OSError, ValueError, LookupError, TypeError):
        return _BACKENDS[0], "KERAS_BACKEND"


@cache  # what runs is what was loaded at the start
def code() -> str | None:
    """The commit of this code, with + when files were changed since; None where it is not under git."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # installed, perhaps into somebody else's repository
    commit = _git("rev-parse", "--short=12", "HEAD")
    return commit and commit + ("+" if _git("status", "--porcelain", "--untracked-files=no", ".") else "")


def cpu() -> str:
    """The name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def threads() -> int:
    """How many CPUs this process may use, quotas of containers included."""
    import joblib

    return int(joblib.cpu_count())


def _git(*words: str) -> str | None:
    """What git says of the folder of this code, None when it does not know it or is not there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words], cwd=_HERE, env=environment, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
