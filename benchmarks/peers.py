"""Compare the recipes with public trainings: the same rows and cores, one process at a time.

    python benchmarks/peers.py --data PATH [--seeds 5] [--only NAME ...] [--force]

Stores every run in docs/benchmarks.json and skips those that are already stored for this machine, so a long benchmark
can be split. Writes one table per machine into docs/benchmarks.md; for the machine with the most runs, also the plot
docs/benchmarks.svg and a short table into README.md, which it prints. --seeds 0 only writes these files.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parent)]

from digit_recognizer.models.registry import MODELS  # noqa: E402
from digit_recognizer.recipes.catalog import RECIPES  # noqa: E402
from digit_recognizer.recipes.recipe import network_recipes  # noqa: E402
from digit_recognizer.utils.environment import code  # noqa: E402
from digit_recognizer.utils.files import write_atomically  # noqa: E402
from figures import (  # noqa: E402
    DOCS,
    OF_THIS_CODE,
    ROOT,
    installed,
    machine,
    matrix_rate,
    today,
    unpacked,
    write_between,
)
from public import PEERS  # noqa: E402
from standings import Run, by_machine, full_tables, picture, short_table  # noqa: E402

FIGURES = DOCS / "benchmarks.json"
FIRST_SEED = 5  # the recipes were chosen on the holdouts of the seeds 0 to 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder or zip with the real CSVs; not needed with --seeds 0")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, from 5 on; 0 only writes the tables")
    parser.add_argument("--only", nargs="*", help="recipes and public trainings; default: all but committees")
    parser.add_argument("--force", action="store_true", help="repeat runs that are already stored")
    options = parser.parse_args()
    if options.seeds < 0:
        parser.error("--seeds cannot be negative")
    if options.seeds and not options.data:
        parser.error("--data is required: the folder or zip with train.csv and test.csv")
    if unknown := set(options.only or ()) - {*RECIPES, *PEERS}:
        parser.error(f"--only {min(unknown)!r} is none of: {'; '.join((*RECIPES, *PEERS))}")
    if not installed("torch") and any(name in PEERS and not PEERS[name].build for name in options.only or ()):
        parser.error("--only: the PyTorch example requires PyTorch: `pip install torch`")
    single = [name for name in RECIPES if len(network_recipes(RECIPES[name])) == 1]
    names = options.only or [*single, *(name for name in PEERS if PEERS[name].build or installed("torch"))]
    runs: list[Run] = json.loads(FIGURES.read_text()) if FIGURES.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        data = options.data and unpacked(options.data.resolve(), Path(folder))
        made = [run for run in runs if run["machine"] == machine() and not options.force]
        for seed, name in to_make(names, options.seeds, made):
            facts = {"matrix_gflops": matrix_rate(), "machine": machine(), "date": today(), "code": code()}
            run = {"name": name} | measure(name, seed, data) | facts
            runs = [*(other for other in runs if identity(other) != identity(run)), run]
            write_atomically(FIGURES, as_text(runs).encode())
            print(f"{name}, seed {seed}: {run['accuracy']:.4f} in {run['train']:.1f} s", flush=True)
    shown = by_machine(runs)[0]
    write_between(DOCS / "benchmarks.md", "peers", full_tables(runs))
    write_between(ROOT / "README.md", "peers", short_table(shown))
    (DOCS / "benchmarks.svg").write_bytes(picture(shown))
    print(short_table(shown))


def identity(run: Run) -> tuple[str, str, int]:
    return run["machine"], run["name"], run["seed"]


def as_text(runs: list[Run]) -> str:
    """The runs as JSON, one per line."""
    return "[\n" + ",\n".join(json.dumps(run) for run in sorted(runs, key=identity)) + "\n]\n"


def to_make(names: list[str], n_seeds: int, made: list[Run]) -> list[tuple[int, str]]:
    """(seed, name) of the runs to make: all names for each seed, without stored runs and later seeds of slow peers."""
    there = {(run["seed"], run["name"]) for run in made}
    rounds = [(n, name) for n in range(n_seeds) for name in names if name in RECIPES or n < PEERS[name].seeds]
    rounds = [(FIRST_SEED + number, name) for number, name in rounds]
    return [one for one in rounds if one not in there]


def measure(name: str, seed: int, data: Path) -> Run:
    """Run one training in its own process and folder."""
    if name in PEERS:
        command = [str(ROOT / "benchmarks" / "peer.py"), name, "--data", str(data), "--seed", str(seed)]
    else:
        command = [str(ROOT / "run_pipeline.py"), "--data", str(data), "--recipe", name, "--seed", str(seed)]
        command += ["--set", "validation=0.1", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        command, environment = [sys.executable, *command], os.environ | OF_THIS_CODE
        with open(Path(folder, "printed"), "w") as printed, open(Path(folder, "errors"), "w") as errors:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=printed, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)  # Popen did not wait itself
        if status:
            raise SystemExit(f"{' '.join(command)} failed:\n{Path(folder, 'errors').read_text()}")
        submission = Path(folder, "submissions" if name in RECIPES else "", "submission.csv")
        done = submission.stat().st_mtime - start
        result = json.loads(Path(folder, "printed").read_text().splitlines()[-1])
        if name in RECIPES:
            result |= {part: round(result["validation"][part], 5) for part in ("accuracy", "loss")}
            result |= {
                "train": result["seconds"]["train"],
                "epochs": epochs_of(Path(folder, result["submission"]).parent),
            }
            result |= {"multiply_adds": sum(MODELS[own.model].multiply_adds for own in network_recipes(RECIPES[name]))}
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
    """The epochs of a run with one network; empty for a run with several."""
    history = folder / "history.csv"
    rows = list(csv.DictReader(history.read_text().splitlines())) if history.exists() else []
    return [{"seconds": float(row["seconds"]), "accuracy": round(float(row["validation_accuracy"]), 5)} for row in rows]


if __name__ == "__main__":
    main()
