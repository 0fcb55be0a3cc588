"""How fast the reader is beside pandas alone, how fast its cache, and how soon the quick commands answer.

    python benchmarks/reading.py PATH/train.csv

Alternating, median (lowest to highest) of seven after one warm-up.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from digit_recognizer.tables import CsvFile, read_train  # noqa: E402

N = 7
QUICK = (["--help"], ["models"], ["score", "a.csv", "--answers", "a.csv"], ["submit", "short.csv"])


def main() -> None:
    file = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"

        def cold() -> None:
            shutil.rmtree(cache, ignore_errors=True)
            read_train(CsvFile(file), cache)

        times = measure(
            {
                "pandas alone": lambda: pd.read_csv(file, dtype=np.uint8),
                "read_train, cold": cold,
                "read_train, cached": lambda: read_train(CsvFile(file), cache),
            }
        )
        submission = "ImageId,Label\n" + "".join(f"{row},{row % 10}\n" for row in range(1, 28_001))
        (Path(folder) / "a.csv").write_text(submission)
        (Path(folder) / "short.csv").write_text("ImageId,Label\n1,7\n")  # refused, with exit code 2
        command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()"]
        times |= measure(
            {
                f"digits {' '.join(words)}": lambda words=words: subprocess.run(
                    [*command, *words],
                    cwd=folder,
                    env={"PYTHONPATH": str(ROOT / "src")},
                    capture_output=True,
                    check=words[0] != "submit",
                )
                for words in QUICK
            }
        )
    for name, seconds in times.items():
        print(f"| {name} | {median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f}) |")
    medians = [median(times[name]) for name in ("pandas alone", "read_train, cold", "read_train, cached")]
    print(f"cold / pandas {medians[1] / medians[0]:.2f}, cold / cached {medians[1] / medians[2]:.0f}")


def measure(jobs: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(N + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
