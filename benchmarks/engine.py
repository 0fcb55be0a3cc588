"""Time each part of a run on this machine: reading, startup, augmentation, training, prediction.

    python benchmarks/engine.py --data PATH

Writes its tables into docs/benchmarks.md. Training and prediction are timed on random images, as many as Kaggle has.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parent)]

from digit_recognizer.data.augmentation import draw_coefficients  # noqa: E402
from digit_recognizer.data.csv_reader import CsvFile, read_train  # noqa: E402
from digit_recognizer.evaluation import prediction  # noqa: E402
from digit_recognizer.models.registry import MODELS  # noqa: E402
from digit_recognizer.recipes.catalog import RECIPES  # noqa: E402
from digit_recognizer.recipes.recipe import Recipe, network_recipes  # noqa: E402
from digit_recognizer.training import fit  # noqa: E402
from digit_recognizer.training.augmented_model import AugmentedModel  # noqa: E402
from digit_recognizer.training.state import FitHooks  # noqa: E402
from digit_recognizer.utils import backend  # noqa: E402
from figures import (  # noqa: E402
    DOCS,
    ROOT,
    gflops,
    head,
    in_turn,
    machine,
    matrix_rate,
    seconds_of,
    spread,
    today,
    unpacked,
    write_between,
)

N_TRAIN, N_TEST = 37_800, 28_000
N = 5  # repetitions; training has 3, the epochs after the first, which compiles
RNG = np.random.default_rng(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or zip with the real CSVs")
    options = parser.parse_args()
    rate = matrix_rate()
    with tempfile.TemporaryDirectory() as folder:
        reads = reading(unpacked(options.data.resolve(), Path(folder)) / "train.csv")
    single = {name: recipe for name, recipe in RECIPES.items() if len(network_recipes(recipe)) == 1}
    single["`lenet5` without batch normalisation"] = replace(RECIPES["lenet5"], batch_norm=False)
    parts = [
        f"Matrix rate: {rate} GFLOP/s. {machine()}; {today()}.",
        "\n" + head(["reading train.csv, and startup", "s"]),
        *(f"| {name} | {spread(seconds)} |" for name, seconds in (reads | starting()).items()),
        "\n" + head(["training", "images/s", "GFLOP/s", "share of matrix rate", "share of augmentation"]),
        *(alone(training_row, name, recipe, rate) for name, recipe in single.items()),
        "\n"
        + head(["prediction", "images/s", "`model.predict(batch_size=1000)`", "ratio", "first call, 28,000 rows, s"]),
        *(alone(predicting_row, name) for name in MODELS),
    ]
    write_between(DOCS / "benchmarks.md", "engine", "\n".join(parts))


def alone(job: Callable[..., str], *arguments: Any) -> str:
    """Return the result of `job` from a new process. A process that has trained other networks is slower."""
    with ProcessPoolExecutor(1, get_context("spawn"), backend.start_backend) as pool:
        return pool.submit(job, *arguments).result()


def reading(file: Path) -> dict[str, list[float]]:
    return in_turn(
        {
            "`pandas.read_csv(dtype=uint8)` alone": lambda: pd.read_csv(file, dtype=np.uint8),
            "`read_train`, with all checks": lambda: read_train(CsvFile(file)),
        }
    )


def starting() -> dict[str, list[float]]:
    """Seconds of a process that imports Keras and its backend and exits."""
    command = [sys.executable, "-c", "from digit_recognizer.utils.backend import start_backend; start_backend()"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return in_turn({"Python, Keras and its backend": lambda: subprocess.run(command, env=environment, check=True)})


def training_row(name: str, recipe: Recipe, rate: int) -> str:
    model = MODELS[recipe.model]
    images = RNG.random((N_TRAIN, model.side, model.side, 1), np.float32)
    ends: list[float] = []
    fit.fit(
        replace(recipe, epochs=4, clean=0),
        images,
        RNG.integers(0, 10, N_TRAIN),
        hooks=FitHooks(on_epoch=lambda epoch: ends.append(epoch.seconds)),
    )
    seconds = min(np.diff(ends))
    work = gflops(model.multiply_adds, N_TRAIN / seconds)
    share = augmenting(recipe, images) / seconds
    print(name, round(N_TRAIN / seconds), flush=True)
    return f"| {name} | {N_TRAIN / seconds:,.0f} | {work:.0f} | {work / rate:.0%} | {share:.0%} |"


def augmenting(recipe: Recipe, images: np.ndarray) -> float:
    """Seconds to draw and apply the augmentation of one epoch, the fastest of `N`."""
    import keras

    side = images.shape[1]
    nothing = keras.Sequential([keras.layers.Input((side, side, 1)), keras.layers.GlobalAveragePooling2D()])
    augmented = AugmentedModel(nothing, images)

    def epoch() -> None:
        inputs = {
            "rows": np.arange(N_TRAIN, dtype=np.int32),
            "coefficients": draw_coefficients(recipe.augmentation, N_TRAIN, recipe.seed, 1),
        }
        augmented.predict(inputs, batch_size=recipe.batch_size, verbose=0)

    augmented.compile(steps_per_execution=16)
    return min(timed(epoch))


def predicting_row(name: str) -> str:
    model = MODELS[name]
    images = RNG.random((N_TEST, model.side, model.side, 1), np.float32)
    network = model.build(dropout=0.0)
    first = seconds_of(lambda: prediction.log_probabilities(network, images))
    ours = timed(lambda: prediction.log_probabilities(network, images))
    keras = timed(lambda: network.predict(images, batch_size=1000, verbose=0))
    ratio = median(keras) / median(ours)
    print(name, round(N_TEST / median(ours)), flush=True)
    return f"| {name} | {N_TEST / median(ours):,.0f} | {N_TEST / median(keras):,.0f} | {ratio:.1f} | {first:.2f} |"


def timed(job: Callable[[], Any]) -> list[float]:
    return in_turn({"": job}, N)[""]


if __name__ == "__main__":
    main()
