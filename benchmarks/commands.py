"""How soon the quick commands answer.

    python benchmarks/commands.py

Alternating, median (lowest to highest) of seven after one warm-up.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
N = 7
QUICK = (["--help"], ["models"], ["score", "a.csv", "--answers", "a.csv"], ["submit", "short.csv"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        submission = "ImageId,Label\n" + "".join(f"{row},{row % 10}\n" for row in range(1, 28_001))
        (Path(folder) / "a.csv").write_text(submission)
        (Path(folder) / "short.csv").write_text("ImageId,Label\n1,7\n")  # refused, with exit code 2
        command = [sys.executable, "-c", "from digit_recognizer.cli import main; main()"]
        times = measure(
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
        print(f"| {name} | {spread(seconds)} |")


def spread(seconds: list[float]) -> str:
    return f"{median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


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
