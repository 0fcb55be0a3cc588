"""Measure throughput and peak memory of `digits predict` as the number of images grows.

    python benchmarks/scale.py [--most 1000000] [--folder FOLDER]

The images are 20,000 augmented images of the built-in sample, repeated. Parsing and inference are also timed alone, in
this process. Writes its table into docs/benchmarks.md and the plot docs/scale.png.
"""

import argparse
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from figures import DIGITS, DOCS, OF_THIS_CODE, head, machine, seconds_of, today, write_between  # isort: skip
from digit_recognizer.data import sources, stream
from digit_recognizer.data.augmentation import Augmentation, apply_augmentation, draw_coefficients
from digit_recognizer.data.csv_format import TEST_COLUMNS
from digit_recognizer.data.csv_reader import read_train
from digit_recognizer.data.images import to_images
from digit_recognizer.inference import engines
from digit_recognizer.inference.load import load_networks
from digit_recognizer.tracking.workspace import Workspace

N_DISTINCT = 20_000
RUNTIMES = engines.RUNTIMES
N = 3
LIMITS = Augmentation(rotate=12, zoom=0.12, shear=0.12, shift=2)
MB = 1e6


@dataclass(frozen=True)
class Row:
    """One `digits predict` command, and the throughput of its parts timed separately."""

    runtime: str
    n: int
    seconds: float
    peak: int  # bytes
    rate: float  # rows per second, from the first chunk to be labelled on
    limit: str
    parsing: float  # rows per second
    by_pandas: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1_000_000, help="rows of the largest file")
    parser.add_argument("--folder", type=Path, help="folder for temporary files; a million rows take 2 GB")
    options = parser.parse_args()
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= options.most]
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        digits(folder, "run", "--data", "sample", "--recipe", "quick")
        pixels = made_up(read_train(sources.sample_source(folder).train).pixels)
        text = lines(pixels)
        for size in sizes:
            file = folder / "images.csv"
            write(file, text, size)
            parsing = size / min(seconds_of(lambda file=file: parse(file)) for _ in range(N))
            by_pandas = size / min(seconds_of(lambda file=file: parse_by_pandas(file)) for _ in range(N))
            for runtime in RUNTIMES:
                words = "predict", str(file), "--run", "last", "-o", "labels.csv", "--runtime", runtime, "--json"
                seconds, peak = digits(folder, *words)
                result = json.loads((folder / "printed").read_text())
                assert result["engine"] == runtime
                assert result["rows"] == size
                rows.append(
                    Row(runtime, size, seconds, peak, result["rows_per_second"], result["limit"], parsing, by_pandas)
                )
                print(rows[-1], flush=True)
        inference = inference_alone(folder, pixels)
    plot(rows)
    write_between(DOCS / "benchmarks.md", "scale", table(rows, inference))


def table(rows: list[Row], inference: dict[str, float]) -> str:
    lines = [
        f"| {row.n:,} | {row.runtime} | {row.seconds:.1f} | {row.rate:,.0f} | {row.limit} | {row.parsing:,.0f} "
        f"| {row.by_pandas:,.0f} | {row.rate / min(row.parsing, inference[row.runtime]):.0%} | {row.peak / MB:,.0f} |"
        for row in rows
    ]
    columns = ["rows", "runtime", "s, complete command", "rows/s", "limit", "parsing alone", "pandas alone"]
    columns += ["share of the slower alone", "peak, MB"]
    alone = ", ".join(f"{rate:,.0f} with {runtime}" for runtime, rate in inference.items())
    text = (
        f"LeNet-5, CSVs of {N_DISTINCT:,} distinct images, n = 1 command each. Alone, the fastest of {N}: parsing, "
        f"pandas' `read_csv(dtype=uint8, chunksize={stream.ROWS})` and inference from memory (images/s: {alone}). "
        f"{machine()}; {today()}.\n"
    )
    found = "; ".join(costs(runtime, [row for row in rows if row.runtime == runtime]) for runtime in RUNTIMES)
    return "\n".join([text, head(columns), *lines, f"\nCost per additional row: {found}."])


def costs(runtime: str, rows: list[Row]) -> str:
    """Seconds per additional row between each two sizes, as text."""
    steps = [
        f"{(after.seconds - before.seconds) / (after.n - before.n) * MB:.1f} µs from {before.n:,} to {after.n:,}"
        for before, after in pairwise(rows)
    ]
    return f"{runtime}, {', '.join(steps)}"


def made_up(pixels: np.ndarray) -> np.ndarray:
    """Returns (N_DISTINCT, 784) uint8: the images repeated, each with its own augmentation."""
    images = to_images(np.resize(pixels, (N_DISTINCT, pixels.shape[1])), side=28)
    return (
        np.rint(apply_augmentation(images, draw_coefficients(LIMITS, N_DISTINCT, 0, 1)) * 255)
        .astype(np.uint8)
        .reshape(N_DISTINCT, -1)
    )


def lines(pixels: np.ndarray) -> list[bytes]:
    texts = [b"%d" % value for value in range(256)]
    return [b",".join([texts[value] for value in row]) + b"\n" for row in pixels.tolist()]


def write(file: Path, text: list[bytes], size: int) -> None:
    with file.open("wb") as output:
        output.write((",".join(TEST_COLUMNS) + "\n").encode())
        for start in range(0, size, len(text)):
            output.writelines(text[: size - start])


def parse(file: Path) -> int:
    return sum(len(chunk.ids) for chunk in stream.read(file))


def parse_by_pandas(file: Path) -> int:
    return sum(len(part) for part in pd.read_csv(file, dtype=np.uint8, chunksize=stream.ROWS))


def inference_alone(folder: Path, pixels: np.ndarray) -> dict[str, float]:
    with Workspace(folder).existing_ledger() as ledger:
        networks = load_networks(ledger, ledger.run("last"))
    parts = [pixels[start : start + stream.ROWS] for start in range(0, len(pixels), stream.ROWS)]
    rates = {}
    for runtime in RUNTIMES:
        predict = engines.predictor_of_networks(networks, runtime)
        predict(parts[0])
        rates[runtime] = len(pixels) / min(
            seconds_of(lambda predict=predict: [predict(part) for part in parts]) for _ in range(N)
        )
    return rates


def digits(folder: Path, *words: str) -> tuple[float, int]:
    """Run a command in `folder`. Returns its seconds and its peak memory in bytes."""
    command, environment = [*DIGITS, *words], os.environ | OF_THIS_CODE
    with open(folder / "printed", "wb") as printed:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=printed, stderr=subprocess.DEVNULL)
        found: list[int] = []

        def wait() -> None:
            _, status, usage = os.wait4(process.pid, 0)
            found.extend([os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024])

        seconds = seconds_of(wait)
    if found[0]:
        raise SystemExit(f"digits {' '.join(words)} ended with {found[0]}")
    return seconds, found[1]


def plot(rows: list[Row]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for runtime in RUNTIMES:
        own = [row for row in rows if row.runtime == runtime]
        left.plot([row.n for row in own], [row.seconds for row in own], "o-", label=runtime)
        right.plot([row.n for row in own], [row.peak / MB for row in own], "o-", label=runtime)
    left.legend()
    left.set(xlabel="rows", ylabel="seconds, whole command", ylim=(0, None))
    right.set(xlabel="rows", ylabel="peak memory, MB", ylim=(0, 1500))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(DOCS / "scale.png", dpi=100)


if __name__ == "__main__":
    main()
