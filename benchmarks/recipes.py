"""Train recipes over several seeds by the command itself; keep the figures in docs/results.json and write the table
of README.md and docs/results.md from them.

    python benchmarks/recipes.py --data PATH [--seeds 3] [--recipes NAME ...]

One process at a time, a round of all recipes for each seed. With --seeds 0 only the table is written anew.
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

FIGURES = ROOT / "docs" / "results.json"
BEGIN, END = "<!-- results: written by benchmarks/recipes.py -->", "<!-- end of results -->"
# Test accuracy that authors of such networks published, on MNIST's 60,000 training and 10,000 test images.
PUBLISHED = {
    "plain-lenet5-1998": "0.9905",
    "plain-lenet-28": "0.985, loss 0.10",
    "plain-deep-cnn": "0.993",
    "plain-simple-cnn": "0.9839",
    "plain-wide-cnn": "0.9919",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=lambda path: str(Path(path).resolve()), help="folder or zip with the real CSVs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    options = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if options.seeds:
        figures |= {name: {"machine": machine(), "date": str(date.today()), "runs": []} for name in options.recipes}
    for seed in range(options.seeds):
        for name in options.recipes:
            figures[name]["runs"].append(train(name, seed, options.data))
            print(name, figures[name]["runs"][-1], flush=True)
    FIGURES.write_text(json.dumps({name: figures[name] for name in RECIPES if name in figures}, indent=1) + "\n")
    for file in (ROOT / "README.md", ROOT / "docs" / "results.md"):
        before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        file.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{after}", encoding="utf-8")


def train(name: str, seed: int, data: str) -> dict[str, Any]:
    """One run of the main job in a process of its own, in a folder that is thrown away."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "--data", data]
    command += ["--recipe", name, "--seed", str(seed), "--json"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    seconds = {part: round(result["seconds"][part], 1) for part in ("train", "total")}
    return {"seed": seed, "weights": result["weights"], **result["validation"], **seconds}


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy"))
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}, {packages}"


def table(figures: dict[str, Any]) -> str:
    lines = [
        "| recipe | model | weights | validation accuracy | log-loss | training, s | in all, s | published |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    made = set()
    for name in (name for name in RECIPES if name in figures):
        runs = figures[name]["runs"]
        accuracy = [run["accuracy"] for run in runs]
        spread = f" ± {stdev(accuracy):.4f}" if len(runs) > 1 else ""
        lines.append(
            f"| `{name}` | {RECIPES[name].model} | {runs[0]['weights']:,} | {mean(accuracy):.4f}{spread} "
            f"| {mean(run['loss'] for run in runs):.3f} | {median(run['train'] for run in runs):.0f} "
            f"| {median(run['total'] for run in runs):.0f} | {PUBLISHED.get(name, '')} |"
        )
        made.add(f"{len(runs)} seeds; {figures[name]['machine']}; {figures[name]['date']}")
    return "\n".join([*lines, "", f"Mean ± standard deviation and median seconds over {' / '.join(sorted(made))}."])


if __name__ == "__main__":
    main()
