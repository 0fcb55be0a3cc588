"""Write the expected values of the golden tests: `python tests/golden/make_golden.py`.

The script runs commands on the built-in sample in a temporary folder and keeps `workspace/` (the ledger and the files
of its runs, without pictures and large arrays), `values.json` (JSON that commands print), `forms.json` (its keys and
types) and `expected.json` (the rest). Run it again only after an intended change of a format.
"""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.outside import COMMAND, ENVIRONMENT, HERE, digits, files_of, form, kaggle, printed, run_folder, work_in

WORKSPACE = HERE / "workspace"
KEPT = (
    "submissions/sweeps/*.journal",
    "submissions/*/*.json",
    "submissions/*/submission.csv",
    "submissions/**/history.csv",
    "submissions/*-single/*.npz",
    "submissions/*-blended/*.npz",
    "submissions/*-folds/**/probabilities.npz",
    "submissions/*-stopped/checkpoint-7.npz",
)
RUNS = ("single", "folds", "blended", "diverged", "stopped", "killed", "uploaded", "rates-0", "rates-1")
VALUES = (
    "leaderboard --all --json",
    "sweep rates.toml --trials 2 --json",
    *(f"show {name} --json" for name in RUNS),
)
FILES = "data/sample/sample_submission.csv data/sample/answers.csv"
FORMS = (
    "run --like single --answers data/sample/answers.csv --json",
    "run --dry-run --json",
    "compare single folds --json",
    f"compare {FILES} --json",
    "blend single folds --json",
    "leaderboard --all --json",
    *(f"show {name} --json" for name in ("single", "blended", "stopped", "uploaded")),
    "models --json",
    "models lenet-28 --json",
    "recipes --json",
    "recipes committee --json",
    f"score {FILES} --answers data/sample/answers.csv --wrong wrong.csv --json",
    "submit first.csv --json",
    "plan --json",
    "sweep rates.toml --trials 2 --json",
    "predict data/sample/test.csv --run single -o labels.csv --json",
    "export single --to keras -o single.keras --json",
    "doctor --leak --data sample --json",
    "doctor --json",
)


def make_runs(folder: Path, environment: dict[str, str]) -> None:
    """Fill the ledger of an empty folder."""
    small = "run --data sample --model lenet-28 --set threads=1"
    long = "run --data sample --recipe quick --model lenet-28 --epochs 8 --set threads=1 --set dropout=0.1"
    digits(folder, f"{small} --epochs 3 --set batch_size=32 --set learning_rate=0.002 --name single")
    digits(folder, f"{small} --epochs 3 --set batch_size=32 --set learning_rate=0.003 --folds 2 --name folds")
    digits(folder, "blend single folds --name blended")
    digits(folder, f"{small} --epochs 1 --set learning_rate=10 --set weight_decay=1 --name diverged", code=1)
    stop_at(folder, f"{long} --name stopped", "*-stopped/checkpoint-7.npz", signal.SIGTERM)
    stop_at(folder, f"{small} --name killed", "*-killed/checkpoint-1.npz", signal.SIGKILL)
    digits(folder, "run --model lenet-28 --epochs 1 --name uploaded --submit --message first", **environment)
    digits(folder, "sweep rates.toml --trials 2")
    file = run_folder(folder, "single").relative_to(folder) / "submission.csv"
    digits(folder, f"score {file} --answers data/sample/answers.csv")
    digits(folder, "show single --note kept")


def stop_at(folder: Path, command: str, file: str, number: signal.Signals) -> None:
    """Start a command and send it a signal as soon as `file` exists in submissions/."""
    with subprocess.Popen([*COMMAND, *command.split()], cwd=folder, env=ENVIRONMENT) as process:
        while not any(folder.glob(f"submissions/{file}")):
            assert process.poll() is None, f"{command}: ended before {file} existed"
            time.sleep(0.002)
        process.send_signal(number)


def keep(folder: Path) -> None:
    """Replace the stored submissions/ with the needed files of `folder`."""
    shutil.rmtree(WORKSPACE / "submissions", ignore_errors=True)
    for file in {file for pattern in KEPT for file in folder.glob(pattern)}:
        target = WORKSPACE / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    with closing(sqlite3.connect(folder / "submissions/ledger.sqlite")) as connection:
        connection.execute("VACUUM INTO ?", [str(WORKSPACE / "submissions/ledger.sqlite")])


def expected(new: Path, stored: Path) -> dict[str, Any]:
    """Expected hashes and file names of the runs."""
    digits(stored, "run --resume stopped")
    return {
        "resumed": sha256((run_folder(stored, "stopped") / "submission.csv").read_bytes()).hexdigest(),
        "files": {name: sorted(files_of(run_folder(new, name))) for name in ("single", "folds")},
    }


def write(name: str, record: dict[str, Any]) -> None:
    (HERE / name).write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        shutil.rmtree(WORKSPACE / "submissions", ignore_errors=True)
        work_in(place / "new")
        with kaggle(place / "new") as empty:
            make_runs(place / "new", empty.environment)
        keep(place / "new")
        work_in(place / "stored")

        def record(command: str) -> Any:
            copy = shutil.copytree(place / "stored", tempfile.mkdtemp(dir=place), dirs_exist_ok=True)
            with kaggle(Path(copy)) as stand_in:
                return printed(Path(copy), command, **stand_in.environment)

        write("values.json", {command: record(command) for command in VALUES})
        write("forms.json", {command: form(record(command)) for command in FORMS})
        write("expected.json", expected(place / "new", place / "stored"))


if __name__ == "__main__":
    main()
