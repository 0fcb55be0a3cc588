"""The Python API, `import digit_recognizer as dr`: the functions that the commands call, for notebooks.

Nothing is printed unless `progress=True`, and nothing is written outside the workspace, by default the current folder.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digit_recognizer import blending, pipeline
from digit_recognizer.competition.submit import submit_file
from digit_recognizer.data.dataset import Dataset, read_dataset
from digit_recognizer.data.images import SIDE
from digit_recognizer.data.sources import find
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.grading import Grades, grade_files
from digit_recognizer.evaluation.metrics import Validation
from digit_recognizer.inference.engines import keras_predictor
from digit_recognizer.inference.load import load_networks
from digit_recognizer.recipes.catalog import choose, with_named_members
from digit_recognizer.recipes.recipe import Recipe, change
from digit_recognizer.report import leaderboard as board
from digit_recognizer.tracking.compare import FileComparison, RunComparison, compare_words
from digit_recognizer.tracking.history import read_history
from digit_recognizer.tracking.run_record import KaggleEntry, RunRecord
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.parallel.config import ExecutionConfig
from digit_recognizer.training.run_plan import NewRun
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from pandas import DataFrame

HERE = Workspace()  # the current folder


class Run:
    """A finished run of a workspace.

    Example:

        run = dr.open_run("last")
        run.validation.accuracy, run.validation.interval
        run.history.plot("epoch", ["loss", "validation_loss"])
        run.predict(images)
    """

    def __init__(self, record: RunRecord, workspace: Workspace) -> None:
        self.record, self.workspace = record, workspace

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def folder(self) -> Path:
        """The run folder, with weights, predictions and plots."""
        return self.record.folder

    @property
    def submission(self) -> Path:
        """The submission.csv of the run."""
        return self.folder / "submission.csv"

    @property
    def recipe(self) -> Recipe:
        """The recipe. Raises InputError for a blend."""
        if self.record.is_blend:
            raise InputError(f"run {self.name} is a blend of {', '.join(self.record.blend_weights)} and has no recipe.")
        return self.record.recipe

    @property
    def validation(self) -> Validation | None:
        """The metrics on held-out rows: n, accuracy with its 95 % interval, log_loss; None without such rows."""
        return self.record.validation

    @cached_property
    def history(self) -> "DataFrame":
        """The epochs of each network, columns network, epoch, loss, accuracy, validation_loss, validation_accuracy,
        seconds. Raises InputError when a history is damaged.
        """
        import pandas as pd

        files = [*self.folder.glob("history.csv"), *sorted(self.folder.glob("members/*/history.csv"))]
        epochs = [
            {"network": "" if file.parent == self.folder else file.parent.name, **vars(epoch)}
            for file in files
            for epoch in read_history(file)
        ]
        return pd.DataFrame(epochs)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The probabilities (n, 10), float64, of (n, 28, 28) or (n, 784) images, averaged over the run's networks.

        Images are uint8 with ink 255, or float in [0, 1] with ink 1, which are rounded to 256 levels. Each row of the
        result adds up to 1. Raises InputError for other images, and when the networks are missing or damaged.
        """
        return self._predictor(_pixels(images))

    @cached_property
    def _predictor(self) -> Callable[[np.ndarray], np.ndarray]:
        require_backend()
        with self.workspace.existing_ledger() as ledger:
            networks = load_networks(ledger, self.record)
        return keras_predictor(networks)

    def __repr__(self) -> str:
        return f"<Run {self.name}: {self._describe()}>"

    def _describe(self) -> str:
        found = self.validation
        if found is None:
            return "no validation"
        low, high = found.interval
        return f"validation accuracy {found.accuracy:.4f} ({low:.4f} to {high:.4f}) on {found.n:,} rows"

    def _repr_html_(self) -> str:
        """Metrics, learning curves and the most challenging digits, for a notebook."""
        plots = [self.folder / f"{name}.png" for name in ("learning-curves", "challenging-digits")]
        images = "".join(
            f'<p><img alt="{plot.stem}" style="max-width: 100%" src="data:image/png;base64,'
            f'{b64encode(plot.read_bytes()).decode()}"></p>'
            for plot in plots
            if plot.is_file()
        )
        return f"<p><b>{escape(self.name)}</b>: {escape(self._describe())}</p>{images}"


def load_data(place: str | Path | None = None, workspace: Workspace = HERE) -> Dataset:
    """Read and check train.csv and test.csv.

    `place` is a folder, Kaggle's zip, or "sample" for the built-in sample; by default the workspace's data/ or Kaggle's
    notebook input. Returns `train.pixels` (n, 784) uint8 with `train.labels` (n,) 0..9, and `test.pixels`. Raises
    InputError with file, line and column of each fault, and when there is no data.

    Example: `data = dr.load_data("sample")`
    """
    source = find(None if place is None else Path(place).expanduser(), workspace.data)
    if source is None:
        raise InputError(f'no data in {workspace.data}. Name its place; "sample" is the built-in sample.')
    return read_dataset(source)


def train(
    data: Dataset,
    recipe: str | Recipe = "lenet5",
    *,
    name: str | None = None,
    workspace: Workspace = HERE,
    workers: int = 1,
    progress: bool = False,
    **fields: Any,
) -> Run:
    """Train a recipe, write its submission and keep it in the ledger of the workspace.

    `recipe` is a name in RECIPES or a Recipe; `fields` change any of its fields. `name` is the run's, besides its time.
    `workers` networks are trained at a time, in processes of their own. Raises InputError for a wrong recipe, name or
    field, RunError when the training or writing fails.

    Example: `run = dr.train(data, "lenet5", folds=5, epochs=10)`
    """
    recipe_name, base = choose(recipe, None) if isinstance(recipe, str) else (f"{recipe.model}-recipe", recipe)
    mode = NewRun(recipe_name, change(base, with_named_members(fields)), name)
    config = pipeline.RunConfig(mode, execution=ExecutionConfig(workers))
    return open_run(pipeline.run_on(data, config, workspace, _reporter(progress)).run, workspace)


def open_run(name: str, workspace: Workspace = HERE) -> Run:
    """A run of the ledger by its name, its id, a part of its name that no other has, or "last".

    Raises InputError when there is none, or more than one.

    Example: `run = dr.open_run("last")`
    """
    with workspace.existing_ledger() as ledger:
        return Run(ledger.run(name), workspace)


def predict(run: str | Run, images: np.ndarray, workspace: Workspace = HERE) -> np.ndarray:
    """As `Run.predict`, of a run or its name.

    Example: `labels = dr.predict("last", images).argmax(axis=1)`
    """
    return (run if isinstance(run, Run) else open_run(run, workspace)).predict(images)


def leaderboard(workspace: Workspace = HERE, sort: str = "accuracy", every: bool = False) -> "DataFrame":
    """The finished runs as a DataFrame, the best first; with `every`, also those that are not finished.

    `sort` is accuracy (the lower end of its interval), loss, public, weights, seconds or newest. Raises InputError for
    another one, and when there is no ledger.

    Example: `dr.leaderboard().head()`
    """
    import pandas as pd

    return pd.DataFrame([row.to_json() for row in board.leaderboard(workspace, sort, every=every)])


def compare(
    first: str | Run, second: str | Run, workspace: Workspace = HERE, data: str | Path | None = None
) -> RunComparison | FileComparison:
    """The exact McNemar test of two runs on the rows that both held out, or the differences of two submission files.

    `data` is the place of the runs' train.csv, by default where the first found it. Raises InputError for unknown or
    unfinished runs, and when they share no held-out rows.

    Example: `dr.compare("base", run).verdict`
    """
    return compare_words(_word(first), _word(second), workspace, None if data is None else Path(data))


def blend(
    runs: Sequence[str | Run],
    weights: str = "greedy",
    *,
    name: str = "blend",
    workspace: Workspace = HERE,
    progress: bool = False,
) -> Run:
    """Average the stored predictions of finished runs into a run of its own.

    `weights` is "greedy", chosen on out-of-fold rows with a nested validation, or "equal". Raises InputError for
    unknown or unfinished runs, and when they share too few held-out rows.

    Example: `dr.blend([run, "other"])`
    """
    result = blending.blend_runs([*map(_word, runs)], workspace, weights, name, reporter=_reporter(progress))
    return open_run(result.run, workspace)


def score(file: str | Path | Run, answers: str | Path) -> Grades:
    """Score a submission file, or that of a run, on the labels of an answers file.

    `answers` is a CSV with ImageId,Label or a labelled Kaggle CSV. Each of the result's `files` has a `score` with
    accuracy, interval, precision, recall and confusion. Raises InputError for a file that Kaggle would refuse.

    Example: `dr.score(run, answers="answers.csv").files[0].score.accuracy`
    """
    submission = file.submission if isinstance(file, Run) else Path(file)
    return grade_files([submission], Path(answers))


def submit(
    file: str | Path | Run,
    message: str = "",
    *,
    force: bool = False,
    workspace: Workspace = HERE,
    progress: bool = False,
) -> KaggleEntry:
    """Upload a submission to Kaggle once, and wait for its score.

    `message` begins its description there; `force` uploads a file that Kaggle has already. Raises InputError when the
    file cannot be submitted or there are no credentials, RunError when Kaggle refuses.

    Example: `dr.submit(run, "first try").public_score`
    """
    submission = file.submission if isinstance(file, Run) else Path(file)
    data = file.record.data_place if isinstance(file, Run) else None
    return submit_file(submission, workspace, data, message, force, _reporter(progress))


def _word(run: str | Path | Run) -> str:
    return run.name if isinstance(run, Run) else str(run)


def _pixels(images: np.ndarray) -> np.ndarray:
    """(n, 784) uint8. Raises InputError for another shape, type or range."""
    images = np.asarray(images)
    if images.ndim not in (2, 3) or images[:1].size not in (0, SIDE**2):
        raise InputError(f"images: expected shape (n, {SIDE}, {SIDE}) or (n, {SIDE**2}), received {images.shape}.")
    if images.dtype.kind == "f" and images.size and not 0 <= images.min() <= images.max() <= 1:
        raise InputError(
            f"images: expected floats in [0, 1], received {images.min():g} to {images.max():g}. Divide by 255, or give "
            "uint8."
        )
    if images.dtype.kind not in "fu" or (images.dtype.itemsize > 1 and images.dtype.kind == "u"):
        raise InputError(f"images: expected uint8, or float in [0, 1], received {images.dtype}.")
    pixels = np.rint(255 * images).astype(np.uint8) if images.dtype.kind == "f" else images
    return pixels.reshape(-1, SIDE**2)


def _reporter(progress: bool) -> Reporter:
    if not progress:
        return SILENT
    from digit_recognizer.utils.console import ConsoleReporter

    return ConsoleReporter()
