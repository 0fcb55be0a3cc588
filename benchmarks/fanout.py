"""Compare parallel with sequential training of four LeNet-5 networks, timed as complete commands.

    python benchmarks/fanout.py --data PATH [--epochs 10] [--times 3]

Each variant trains the same four networks; the variants are interleaved. Those with one thread per network must write
the same submission. Writes its table into docs/benchmarks.md.
"""

import argparse
import tempfile
from hashlib import sha256
from pathlib import Path
from statistics import median

from figures import DOCS, digits, head, machine, seconds_of, spread, today, write_between

SHARED = ["run", "--recipe", "lenet5", "--seeds", "4", "--validation", "0"]
WAYS = {
    "sequential, all threads per network": [],
    "sequential, one thread per network": ["--set", "threads=1"],
    "`--workers 2`, one thread per network": ["--set", "threads=1", "--workers", "2"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or zip with the real CSVs")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    words = [*SHARED, "--epochs", str(options.epochs), "--data", str(options.data.resolve())]
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        hashes = {way: set() for way in WAYS}
        for _ in range(options.times):
            for way, own in WAYS.items():
                seconds[way].append(round(seconds_of(lambda own=own: digits(folder, *words, *own)), 1))
                hashes[way].add(sha256((Path(folder) / "submissions/submission.csv").read_bytes()).hexdigest())
                print(way, seconds[way][-1], flush=True)
    assert len(hashes[[*WAYS][1]] | hashes[[*WAYS][2]]) == 1, "the submissions differ"
    write_between(DOCS / "benchmarks.md", "fanout", table(seconds, options.epochs))


def table(seconds: dict[str, list[float]], epochs: int) -> str:
    by_all, by_one = (median(seconds[way]) for way in [*WAYS][:2])
    rows = [
        f"| {way} | {spread(took)} | {by_all / median(took):.2f} | {by_one / median(took):.2f} |"
        for way, took in seconds.items()
    ]
    n = len(next(iter(seconds.values())))
    text = (
        f"Four LeNet-5, {epochs} epochs each, 42,000 rows; complete commands, n = {n}, interleaved: median (lowest to "
        "highest). "
        f"{machine()}; {today()}.\n"
    )
    columns = ["training", "s", "speed-up over the first row", "over the second row"]
    return "\n".join([text, head(columns), *rows])


if __name__ == "__main__":
    main()
