"""Run the session of docs/iterating.md on real data and write its outputs into that file.

    python benchmarks/iterating.py --data PATH

A competition is made from train.csv: 10,000 rows become its test set, and only the stand-in for Kaggle has the labels.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from figures import DIGITS, DOCS, OF_THIS_CODE, ROOT

sys.path.append(str(ROOT / "tests"))

import kaggle_stand_in
from digit_recognizer.data import sources
from digit_recognizer.data.csv_format import TEST_COLUMNS, TRAIN_COLUMNS
from digit_recognizer.data.csv_reader import read_train
from digit_recognizer.errors import InputError

DOC = DOCS / "iterating.md"
N_TEST = 10_000
SESSION = re.compile(r"```sh\n(?P<commands>.*?)```\n\n```text\n.*?```", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or zip with the real CSVs")
    try:
        place = parser.parse_args().data
        table = read_train(sources.find(place, place).train)
    except InputError as error:
        parser.error(str(error))
    train, test = train_test_split(
        np.arange(len(table.labels)), test_size=N_TEST, stratify=table.labels, random_state=0
    )
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        write(data / "train.csv", TRAIN_COLUMNS, np.column_stack([table.labels[train], table.pixels[train]]))
        write(data / "test.csv", TEST_COLUMNS, table.pixels[test])
        with kaggle_stand_in.kaggle_stand_in(table.labels[test].tolist()) as kaggle:
            environment = os.environ | kaggle.environment | {"KAGGLE_API_TOKEN": kaggle_stand_in.TOKEN, "HOME": folder}
            environment |= OF_THIS_CODE | {"COLUMNS": "110"}

            def outputs(block: re.Match[str]) -> str:
                printed = [run(line, folder, environment) for line in block["commands"].splitlines()]
                return f"```sh\n{block['commands']}```\n\n```text\n{''.join(printed)}```"

            text = SESSION.sub(outputs, DOC.read_text(encoding="utf-8"))
    DOC.write_text(text, encoding="utf-8")


def write(path: Path, columns: tuple[str, ...], values: np.ndarray) -> None:
    np.savetxt(path, values, fmt="%d", delimiter=",", header=",".join(columns), comments="")


def run(line: str, folder: str, environment: dict[str, str]) -> str:
    print("$", line, flush=True)
    command = [*DIGITS, *shlex.split(line)[1:]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    print(done.stdout, flush=True)
    lines = [kept.rstrip() for kept in done.stdout.splitlines()]
    return "\n".join([f"$ {line}", *lines]) + "\n"


if __name__ == "__main__":
    main()
