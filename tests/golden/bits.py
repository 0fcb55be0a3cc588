"""Print hashes of six short trainings on the built-in sample: `python tests/golden/bits.py [--compare FILE]`.

Each line holds a name, the SHA-256 of submission.csv and the SHA-256 of the arrays in probabilities.npz. With --compare
the exit code is 1 if a line differs from an earlier output. Results depend on the CPU and on package versions, so only
outputs of one machine can be compared, and none is kept in the repository. It takes about a minute.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.outside import digits, run_folder

TWO = """
base = "quick"
folds = 2
members = ["quick", "plain-lenet-28"]
"""
TRAININGS = {
    "quick": "--recipe quick",
    "lenet5": "--recipe lenet5 --epochs 3",
    "plain-lenet5-1998": "--recipe plain-lenet5-1998 --epochs 2",
    "plain-deep-cnn": "--recipe plain-deep-cnn --epochs 2",
    "average": "--recipe quick --set ema=0.99 --set elastic=0.5",
    "two": "--recipe-file two.toml",
}


def lines() -> Iterator[str]:
    """Yield the line of each training when it finishes."""
    for name, words in TRAININGS.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "two.toml").write_text(TWO)
            digits(folder, f"run --data sample {words} --set threads=1 --name {name}")
            run = run_folder(folder, name)
            submission = sha256((run / "submission.csv").read_bytes()).hexdigest()
            yield f"{name} {submission} {hash_of_arrays(run / 'probabilities.npz')}"


def hash_of_arrays(file: Path) -> str:
    """The SHA-256 of the bytes of an npz's arrays, in the order of their names."""
    with np.load(file, allow_pickle=False) as arrays:
        return sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays.files))).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier output")
    before = parser.parse_args().compare
    expected = before.read_text().splitlines() if before else []
    found = []
    for line in lines():
        print(line, flush=True)
        found.append(line)
    others = sorted(set(found) ^ set(expected)) if before else []
    for line in others:
        print(f"differs: {line}{' (then)' if line in expected else ''}", file=sys.stderr)
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
