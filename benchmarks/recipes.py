"""Train every recipe over several seeds by the command itself and write the table of docs/results.md and README.

    python benchmarks/recipes.py --data PATH [--seeds 3] [--recipes NAME ...]

One process at a time, a round of all recipes for each seed. The table stands between two markers in both files.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from digit_recognizer.recipes import RECIPES  # noqa: E402

BEGIN, END = "<!-- results: written by benchmarks/recipes.py -->", "<!-- end of results -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    options = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in options.recipes}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for name in options.recipes:
                results[name].append(train(name, seed, options.data, folder))
                last = results[name][-1]
                print(f"{name}, seed {seed}: {last['validation']['accuracy']:.4f}, {last['seconds']}", flush=True)
    table = "\n".join(rows(results, options.seeds))
    for file in (ROOT / "README.md", ROOT / "docs" / "results.md"):
        before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        file.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def train(name: str, seed: int, data: str, folder: str) -> dict[str, Any]:
    """One run of the main job in a process of its own, in a folder that is thrown away."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "--data", data]
    command += ["--recipe", name, "--seed", str(seed), "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows(results: dict[str, list[dict[str, Any]]], n_seeds: int) -> list[str]:
    lines = [
        "| recipe | model | weights | validation accuracy | log-loss | training, s | whole command, s |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, runs in results.items():
        accuracy = [run["validation"]["accuracy"] for run in runs]
        spread = f" ± {stdev(accuracy):.4f}" if n_seeds > 1 else ""
        lines.append(
            f"| `{name}` | {runs[0]['model']} | {runs[0]['weights']:,} | {mean(accuracy):.4f}{spread} "
            f"| {mean(run['validation']['loss'] for run in runs):.3f} "
            f"| {median(run['seconds']['train'] for run in runs):.0f} "
            f"| {median(run['seconds']['total'] for run in runs):.0f} |"
        )
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy"))
    machine = f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}, {packages}"
    return [*lines, "", f"Mean ± standard deviation over {n_seeds} seeds, median seconds; {machine}; {date.today()}."]


if __name__ == "__main__":
    main()
