"""Shared by the benchmarks: timing, the description and the matrix rate of the machine, tables in Markdown files."""

import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from digit_recognizer.data import sources  # noqa: E402
from digit_recognizer.errors import InputError  # noqa: E402
from digit_recognizer.utils import environment  # noqa: E402
from digit_recognizer.utils.files import write_atomically  # noqa: E402

DOCS = ROOT / "docs"
DIGITS = [sys.executable, "-c", "from digit_recognizer.cli import main; main()"]  # the command of this checkout
OF_THIS_CODE = {"PYTHONPATH": str(ROOT / "src"), "DIGITS_WORKSPACE": "."}  # the workspace is the current folder


def matrix_rate() -> int:
    """GFLOP/s of the product of two 2048 x 2048 float32 matrices, the fastest of ten."""
    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    seconds = [seconds_of(lambda: a @ a) for _ in range(10)]
    return round(2 * 2048**3 / min(seconds) / 1e9)


def in_turn(jobs: dict[str, Callable[[], object]], n: int = 7) -> dict[str, list[float]]:
    """Seconds of `n` repetitions of each job. The jobs are interleaved; the first round warms up and is not timed."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(n + 1):
        for name, job in jobs.items():
            took = seconds_of(job)
            if turn:
                seconds[name].append(took)
    return seconds


def seconds_of(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def digits(folder: Path | str, *words: str) -> str:
    """Run a command in `folder` and return its stdout. Raises CalledProcessError when it fails."""
    command, own = [*DIGITS, *words], os.environ | OF_THIS_CODE
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=True).stdout


def spread(seconds: list[float]) -> str:
    """Median (lowest to highest), as text."""
    return f"{median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


def gflops(multiply_adds: int, images_per_second: float) -> float:
    """GFLOP/s of training. The backward pass counts twice the forward pass; a multiply-add counts as two operations."""
    return 3 * 2 * multiply_adds * images_per_second / 1e9


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> str:
    """Processor, cores and library versions, as text."""
    backend = environment.backend()
    words = [f"{environment.threads()} CPU cores ({environment.cpu()})", f"Python {platform.python_version()}"]
    words.append(f"keras {installed('keras')} on {backend} {installed(backend)}")
    words += [f"{name} {found}" for name in ("torch", "numpy") if name != backend and (found := installed(name))]
    return ", ".join(words)


def today() -> str:
    return str(date.today())


def head(columns: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}"


def write_between(file: Path, name: str, text: str) -> None:
    """Replace the text of `file` between the two comments of that name. Exits when they are not there exactly once."""
    begin, end = f"<!-- {name}: written by benchmarks/{name}.py -->", f"<!-- end of {name} -->"
    before, *rest = file.read_text(encoding="utf-8").split(begin)
    _, *after = rest[0].split(end) if len(rest) == 1 else ("",)
    if len(after) != 1:
        raise SystemExit(f"{file}: expected {begin} once, and then {end} once.")
    write_atomically(file, f"{before}{begin}\n{text}\n{end}{after[0]}".encode())


def unpacked(data: Path, folder: Path) -> Path:
    """The folder with the CSVs: `data`, or `folder` after unpacking the zip. Exits when there are no CSVs."""
    try:
        sources.find(data, folder)
    except InputError as error:
        raise SystemExit(f"Error: {error}") from None
    if data.is_dir():
        return data
    with zipfile.ZipFile(data) as archive:
        for name in ("train.csv", "test.csv"):
            archive.extract(name, folder)
    return folder
