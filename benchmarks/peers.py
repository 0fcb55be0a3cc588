"""Our recipes beside what public notebooks do: the same rows, the same cores, one process each, in turn.

    python benchmarks/peers.py --data PATH [--seeds 5] [--only NAME ...] [--again]

Keeps every run in docs/benchmarks.json and makes only those that are not there, so that a long benchmark may be made in
parts; writes the tables of README.md and docs/benchmarks.md and the picture from all. With --seeds 0 it only writes.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parent)]

from digit_recognizer.models import MODELS  # noqa: E402
from digit_recognizer.recipe_text import models_in_words  # noqa: E402
from digit_recognizer.recipes import RECIPES, networks  # noqa: E402
from digit_recognizer.surroundings import code  # noqa: E402
from figures import (  # noqa: E402
    DOCS,
    ROOT,
    gflops,
    head,
    installed,
    machine,
    matrix_rate,
    today,
    unpacked,
    write_between,
)
from public import PEERS  # noqa: E402

FIGURES = DOCS / "benchmarks.json"
N_FITTED = 37_800  # rows of train.csv without the holdout
FIRST_SEED = 5  # the recipes were chosen on the holdouts of the seeds 0 to 4
GOALS = (0.98, 0.99, 0.994, 0.996)
# Test accuracy that authors of such networks published, on MNIST's 60,000 training and 10,000 test images.
PUBLISHED = {
    "plain-lenet5-1998": "0.9905",
    "plain-lenet-28": "0.985",
    "plain-deep-cnn": "0.993",
    "plain-simple-cnn": "0.9839",
    "plain-wide-cnn": "0.9919",
}
Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder or zip with the real CSVs; needed but for --seeds 0")
    parser.add_argument("--seeds", type=int, default=5, help="how many, the first being 5; 0 only writes the tables")
    parser.add_argument("--only", nargs="*", help="names of recipes and peers; all but committees by default")
    parser.add_argument("--again", action="store_true", help="make those runs, too, that are there already")
    options = parser.parse_args()
    if options.seeds < 0:
        parser.error("--seeds cannot be negative")
    if options.seeds and not options.data:
        parser.error("--data is missing")
    if unknown := set(options.only or ()) - {*RECIPES, *PEERS}:
        parser.error(f"--only {min(unknown)!r} is none of: {'; '.join((*RECIPES, *PEERS))}")
    single = [name for name in RECIPES if len(networks(RECIPES[name])) == 1]
    names = options.only or [*single, *(name for name in PEERS if PEERS[name].build or installed("torch"))]
    runs = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        data = options.data and unpacked(options.data.resolve(), Path(folder))
        for seed, name in to_make(names, options.seeds, {} if options.again else runs):
            facts = {"matrix_gflops": matrix_rate(), "machine": machine(), "date": today(), "code": code()}
            run = measure(name, seed, data) | facts
            others = [other for other in runs.get(name, []) if other["seed"] != seed]
            runs[name] = sorted([*others, run], key=lambda run: run["seed"])
            FIGURES.write_text(json.dumps(runs, indent=1) + "\n")
            print(f"{name}, seed {seed}: {run['accuracy']:.4f} in {run['train']:.1f} s", flush=True)
    runs = {name: runs[name] for name in (*RECIPES, *PEERS) if name in runs}
    write_between(DOCS / "benchmarks.md", "peers", full_table(runs))
    write_between(ROOT / "README.md", "peers", short_table(runs))
    (DOCS / "benchmarks.svg").write_bytes(picture(runs))


def to_make(names: list[str], n_seeds: int, made: dict[str, list[Run]]) -> list[tuple[int, str]]:
    """A round of all names for each seed, without what is made and the later seeds of slow peers."""
    there = {(run["seed"], name) for name in made for run in made[name]}
    rounds = [(n, name) for n in range(n_seeds) for name in names if name in RECIPES or n < PEERS[name].seeds]
    rounds = [(FIRST_SEED + number, name) for number, name in rounds]
    return [one for one in rounds if one not in there]


def measure(name: str, seed: int, data: Path) -> Run:
    """One training in a process and a folder of its own."""
    if name in PEERS:
        command = [str(ROOT / "benchmarks" / "peer.py"), name, "--data", str(data), "--seed", str(seed)]
    else:
        command = [str(ROOT / "run_pipeline.py"), "--data", str(data), "--recipe", name, "--seed", str(seed)]
        command += ["--set", "validation=0.1", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        with open(Path(folder, "told"), "w") as told, open(Path(folder, "errors"), "w") as errors:
            process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=told, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)  # for Popen, which did not wait itself
        if status:
            raise SystemExit(f"{' '.join(command)} failed:\n{Path(folder, 'errors').read_text()}")
        submission = Path(folder, "submissions" if name in RECIPES else "", "submission.csv")
        done = submission.stat().st_mtime - start
        result = json.loads(Path(folder, "told").read_text().splitlines()[-1])
        if name in RECIPES:
            result |= {part: round(result["validation"][part], 5) for part in ("accuracy", "loss")}
            result |= {
                "train": result["seconds"]["train"],
                "epochs": epochs_of(Path(folder, result["submission"]).parent),
            }
            result |= {"multiply_adds": MODELS[RECIPES[name].model].multiply_adds}
    return {
        "seed": seed,
        "weights": result["weights"],
        "multiply_adds": result["multiply_adds"],
        "accuracy": result["accuracy"],
        "loss": result["loss"],
        "train": round(result["train"], 3),
        "to_submission": round(done, 2),
        "peak_mb": usage.ru_maxrss // 1024,
        "epochs": result["epochs"],
    }


def epochs_of(folder: Path) -> list[dict[str, float]]:
    """The epochs of a run of one network; none of a run of several."""
    history = folder / "history.csv"
    rows = list(csv.DictReader(history.read_text().splitlines())) if history.exists() else []
    return [{"seconds": float(row["seconds"]), "accuracy": round(float(row["validation_accuracy"]), 5)} for row in rows]


def images_per_second(run: Run) -> float:
    """Of an epoch and its validation; the first one, which compiles, only where there is no other."""
    ends = [epoch["seconds"] for epoch in run["epochs"]]
    return N_FITTED / (float(median(np.diff(ends))) if len(ends) > 1 else ends[0])


def seconds_to(goal: float, run: Run) -> float:
    """Of the last epoch, what the run says at last counts."""
    ends = [(epoch["seconds"], epoch["accuracy"]) for epoch in run["epochs"][:-1]]
    return min(
        (seconds for seconds, reached in [*ends, (run["train"], run["accuracy"])] if reached >= goal), default=np.inf
    )


def cells(name: str, runs: list[Run], rate: float) -> dict[str, str]:
    """A row: medians, and mean ± deviation of the accuracy, of `runs`; `rate` is the machine's, in GFLOP/s."""

    def middle(value: Callable[[Run], float]) -> float:
        return float(np.median([value(run) for run in runs]))

    speed = middle(images_per_second) if all(run["epochs"] for run in runs) else None
    work = gflops(runs[0]["multiply_adds"], speed) if speed else None

    accuracy = [run["accuracy"] for run in runs]
    spread = f" ± {stdev(accuracy):.4f}" if len(runs) > 1 else ""
    goals = {f"s to {goal}": middle(lambda run, goal=goal: seconds_to(goal, run)) for goal in GOALS}
    return {
        "recipe": f"`{name}`" if name in RECIPES else f"*{name}*",
        "model": models_in_words(RECIPES[name]) if name in RECIPES else "",
        "weights": f"{runs[0]['weights']:,}",
        "validation accuracy": f"{mean(accuracy):.4f}{spread}",
        "n": str(len(runs)),
        "log-loss": f"{mean(run['loss'] for run in runs):.3f}",
        **{goal: f"{seconds:.1f}" if np.isfinite(seconds) else "–" for goal, seconds in goals.items()},
        "training, s": f"{middle(lambda run: run['train']):.1f}",
        "start to submission, s": f"{middle(lambda run: run['to_submission']):.1f}",
        "images/s": f"{speed:,.0f}" if speed else "–",
        "GFLOP/s": f"{work:.0f}" if work else "–",
        "of the matrix rate": f"{work / rate:.0%}" if work else "–",
        "peak, GB": f"{middle(lambda run: run['peak_mb']) / 1024:.1f}",
        "published": PEERS[name].published if name in PEERS else PUBLISHED.get(name, ""),
    }


def highest_rate(runs: dict[str, list[Run]]) -> float:
    """The machine's own matrix rate: less was measured when something else kept it busy."""
    return max(run["matrix_gflops"] for own in runs.values() for run in own)


def table(runs: dict[str, list[Run]], columns: list[str]) -> str:
    rate = highest_rate(runs)
    rows = [cells(name, own, rate) for name, own in runs.items()]
    lines = [head(columns)]
    lines += [f"| {' | '.join(row[column] for column in columns)} |" for row in rows]
    made = sorted({f"{run['machine']}; {run['date']}" for own in runs.values() for run in own})
    return "\n".join([*lines, "", f"{' / '.join(made)}."])


def full_table(runs: dict[str, list[Run]]) -> str:
    every = list(cells(*next(iter(runs.items())), rate=1))
    sources = "\n".join(f"- *{name}*: {PEERS[name].source}." for name in PEERS if name in runs)
    said = f"Matrix rate: {highest_rate(runs):.0f} GFLOP/s, the highest that was measured."
    return f"{table(runs, every)} {said}\n\n{sources}"


def short_table(runs: dict[str, list[Run]]) -> str:
    columns = [
        "recipe",
        "model",
        "weights",
        "validation accuracy",
        "n",
        "log-loss",
        "s to 0.99",
        "training, s",
        "start to submission, s",
    ]
    return table({name: own for name, own in runs.items() if not name.startswith("plain-")}, columns)


def picture(runs: dict[str, list[Run]]) -> bytes:
    """Accuracy against seconds of training, a point for each; SVG, the same bytes for the same figures."""
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams |= {"svg.hashsalt": "peers", "svg.fonttype": "none", "font.family": "sans-serif"}
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axis = figure.subplots()
    points = {
        name: (median(run["train"] for run in own), 100 * (1 - mean(run["accuracy"] for run in own)))
        for name, own in runs.items()
    }
    for name, (x, y) in points.items():
        spread = 100 * stdev(run["accuracy"] for run in runs[name]) if len(runs[name]) > 1 else 0
        colour = "C7" if name in PEERS else "C1" if name.startswith("plain-") else "C0"
        axis.errorbar(x, y, yerr=spread, fmt="o", color=colour, elinewidth=0.8)
        crowded = any(x < other_x < 2 * x and 0.95 < other_y / y < 1.05 for other_x, other_y in points.values())
        axis.annotate(
            name,
            (x, y),
            xytext=(-5 if crowded else 5, 4),
            ha="right" if crowded else "left",
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )
    axis.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="validation accuracy")
    errors = [0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2]
    axis.set_yticks(errors, [f"{1 - error / 100:.4g}" for error in errors])
    axis.set_yticks([], minor=True)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlim(right=2 * axis.get_xlim()[1])  # room for the names
    axis.invert_yaxis()
    axis.grid(alpha=0.3, which="both")
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


if __name__ == "__main__":
    main()
