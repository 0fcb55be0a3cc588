"""What labelling costs as the number of images grows: rows a second, and peak memory, of the whole command.

    python benchmarks/scale.py [--engine onnxruntime] [--most 1000000] [--folder PLACE]

The images are the built-in sample's, distorted anew until there are 20,000, and then over again. Parsing alone and
inference alone are timed in this process. Writes its table into docs/benchmarks.md, and the plot docs/scale.png.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from figures import DIGITS, DOCS, OF_THIS_CODE, head, machine, seconds_of, today, write_between

from digit_recognizer import chunks, engines, sources  # isort: skip
from digit_recognizer.augment import Distortion, distorted, draw  # isort: skip
from digit_recognizer.careful import TEST_COLUMNS  # isort: skip
from digit_recognizer.images import to_images  # isort: skip
from digit_recognizer.ledger import opened  # isort: skip
from digit_recognizer.voices import voices  # isort: skip

N_DISTINCT = 20_000
N_BY_PANDAS = 100_000  # rows of the largest file that pandas reads, too
LIMITS = Distortion(rotate=12, zoom=0.12, shear=0.12, shift=2)
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1_000_000, help="rows of the largest file")
    parser.add_argument("--engine", choices=["keras", *engines.FORMATS], default="onnxruntime")
    parser.add_argument("--folder", type=Path, help="where the files are made, 2 GB for a million rows")
    options = parser.parse_args()
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= options.most]
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        digits(folder, "run", "--data", "sample", "--recipe", "quick")
        pixels = made_up(sources.read(sources.sample_source(folder))[0].pixels)
        text = lines(pixels)
        for size in sizes:
            file = folder / "images.csv"
            write(file, text, size)
            seconds, peak = digits(
                folder, "predict", str(file), "--run", "last", "-o", "labels.csv", "--engine", options.engine, "--json"
            )
            result = json.loads((folder / "printed").read_text())
            parsing = size / seconds_of(lambda file=file: sum(len(chunk.ids) for chunk in chunks.read(file)))
            rows.append([size, seconds, peak, result["rows_per_second"], parsing, result["limit"]])
            print(rows[-1], flush=True)
            if size <= N_BY_PANDAS:
                by_pandas = size / seconds_of(lambda file=file: by_pandas_alone(file))
        inference = inference_alone(folder, pixels, result["engine"])
    table = [
        f"| {size:,} | {seconds:.1f} | {rate:,.0f} | {parsing:,.0f} | {rate / min(parsing, inference):.0%} | {limit} "
        f"| {peak / MB:,.0f} |"
        for size, seconds, peak, rate, parsing, limit in rows
    ]
    plot([row[0] for row in rows], [row[1] for row in rows], [row[2] / MB for row in rows])
    columns = ["rows", "s, whole command", "rows/s", "parsing alone", "of the slower alone", "limit", "peak, MB"]
    told = (
        f"LeNet-5 by {result['engine']}, CSV. Inference alone, from memory: {inference:,.0f} images/s; parsing by "
        f"pandas, `read_csv(dtype=uint8, chunksize={chunks.ROWS})`: {by_pandas:,.0f} rows/s. {machine()}; {today()}.\n"
    )
    write_between(DOCS / "benchmarks.md", "scale", "\n".join([told, head(columns), *table]))


def made_up(pixels: np.ndarray) -> np.ndarray:
    """(N_DISTINCT, 784) uint8: the images over and over, each time distorted in another way."""
    images = to_images(np.resize(pixels, (N_DISTINCT, pixels.shape[1])), side=28)
    return np.rint(distorted(images, draw(LIMITS, N_DISTINCT, 0, 1)) * 255).astype(np.uint8).reshape(N_DISTINCT, -1)


def lines(pixels: np.ndarray) -> list[bytes]:
    texts = [b"%d" % value for value in range(256)]
    return [b",".join([texts[value] for value in row]) + b"\n" for row in pixels.tolist()]


def write(file: Path, text: list[bytes], size: int) -> None:
    with file.open("wb") as output:
        output.write((",".join(TEST_COLUMNS) + "\n").encode())
        for start in range(0, size, len(text)):
            output.writelines(text[: size - start])


def by_pandas_alone(file: Path) -> int:
    return sum(len(part) for part in pd.read_csv(file, dtype=np.uint8, chunksize=chunks.ROWS))


def inference_alone(folder: Path, pixels: np.ndarray, engine: str) -> float:
    os.chdir(folder)
    with opened(folder / "submissions/ledger.sqlite") as book:
        label = engines.of_run(voices(book, book.run("last")), engine)
    parts = [pixels[start : start + chunks.ROWS] for start in range(0, len(pixels), chunks.ROWS)]
    return len(pixels) / min(seconds_of(lambda: [label(part) for part in parts]) for _ in range(6))


def digits(folder: Path, *words: str) -> tuple[float, int]:
    """Seconds and peak memory in bytes of a command."""
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


def plot(sizes: list[int], seconds: list[float], peaks: list[float]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.plot(sizes, seconds, "o-")
    left.set(xlabel="rows", ylabel="seconds, whole command", ylim=(0, None))
    right.plot(sizes, peaks, "o-")
    right.set(xlabel="rows", ylabel="peak memory, MB", ylim=(0, 1500))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(DOCS / "scale.png", dpi=100)


if __name__ == "__main__":
    main()
