"""The Python API, `import digit_recognizer as dr`, for scripts and notebooks.

Nothing is printed unless `progress=True`, and nothing is written outside the workspace: a Workspace or its folder, by
default that of the given run, else the current folder. (Keras has its settings in ~/.keras, locks are in the system's
temporary folder.)
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digit_recognizer import blending, pipeline
from digit_recognizer.competition.submit import submit_file
from digit_recognizer.data.dataset import Dataset, read_dataset
from digit_recognizer.data.images import to_pixels
from digit_recognizer.data.inspection import image_warnings
from digit_recognizer.data.sources import find
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.grading import Grades, grade_files
from digit_recognizer.evaluation.metrics import Validation
from digit_recognizer.inference.engines import keras_predictor
from digit_recognizer.inference.load import load_networks
from digit_recognizer.recipes.catalog import choose, with_named_members
from digit_recognizer.recipes.recipe import Recipe, change
from digit_recognizer.report import leaderboard as board
from digit_recognizer.report.page import notebook_html
from digit_recognizer.tracking.compare import FileComparison, RunComparison, compare_runs_or_files
from digit_recognizer.tracking.history import Epoch, read_history
from digit_recognizer.tracking.run_record import KaggleEntry, RunRecord
from digit_recognizer.tracking.run_session import record_grades
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.parallel.config import ExecutionConfig
from digit_recognizer.training.run_plan import NewRun
from digit_recognizer.utils.console import ConsoleReporter
from digit_recognizer.utils.environment import require_backend
from digit_recognizer.utils.reporter import SILENT, Reporter

Place = Workspace | str | Path | None  # a workspace or its folder


class Run:
    """A finished run of a workspace, as returned by `train`, `blend` and `open_run`.

    Example: `run = dr.open_run("last"); run.validation.accuracy; run.history[["epoch", "loss", "validation_loss"]]`
    """

    def __init__(self, record: RunRecord, workspace: Workspace) -> None:
        self.record, self.workspace = record, workspace

    @property
    def name(self) -> str:
        """The name of the run and of its folder."""
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
        """The metrics on held-out rows, or None: n, accuracy in [0, 1] with its 95 % interval, log_loss in nats."""
        return self.record.validation

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row for each epoch of each network; empty for a blend.

        Columns: network (empty if there is only one), epoch, loss, accuracy, validation_loss, validation_accuracy,
        seconds. Raises InputError when a history file is damaged.
        """
        epochs = [
            {"network": "" if file.parent == self.folder else file.parent.name, **vars(epoch)}
            for file in sorted(self.folder.rglob("history.csv"))
            for epoch in read_history(file)
        ]
        return pd.DataFrame(epochs, columns=["network", *(field.name for field in fields(Epoch))])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns the probability of each digit, averaged over the networks of the run.

        `images` is (n, 28, 28), (n, 28, 28, 1), (n, 784) or one (28, 28): whole numbers from 0 to 255 with ink 255, or
        floats in [0, 1] with ink 1, which are rounded to 256 levels. The result is (n, 10) float64 in [0, 1]; each row
        adds up to 1. Warns of inverted and transposed images. Raises InputError for images of another shape, dtype or
        range, and when the networks of the run are missing or damaged.

        Example: `labels = run.predict(data.test.pixels).argmax(axis=1)`
        """
        pixels = to_pixels(images)
        for warning in image_warnings("images", pixels):
            warnings.warn(f"{warning}. The labels may be wrong.", stacklevel=2)
        return self._predictor(pixels)

    @cached_property
    def _predictor(self) -> Callable[[np.ndarray], np.ndarray]:
        require_backend()
        with self.workspace.existing_ledger() as ledger:
            return keras_predictor(load_networks(ledger, self.record))

    def __repr__(self) -> str:
        result = f"accuracy {self.validation.accuracy:.4f}" if self.validation else "no validation"
        return f"<Run {self.name}: {result}>"

    def _repr_html_(self) -> str:
        return notebook_html(self.record)


def load_data(place: str | Path | None = None, workspace: Place = None) -> Dataset:
    """Reads and checks train.csv and test.csv.

    `place` is a folder, Kaggle's zip, or "sample" for the built-in sample; by default the workspace's data/ or the
    input of a Kaggle notebook. The result has `train.pixels` (n, 784) uint8, 0 to 255 with ink 255, `train.labels` (n,)
    uint8, 0 to 9, and `test.pixels` like `train.pixels`. Raises InputError when there is no data, or with file, line
    and column of each fault in it, and RunError when the sample cannot be written.

    Example: `data = dr.load_data("sample")`
    """
    folder = _workspace(workspace).data
    source = find(None if place is None else Path(place).expanduser(), folder)
    if source is None:
        raise InputError(f'{folder}: no data there. Set `place` to its folder or zip; "sample" is the built-in sample.')
    return read_dataset(source)


def train(
    data: Dataset,
    recipe: str | Recipe = "lenet5",
    *,
    name: str | None = None,
    workspace: Place = None,
    workers: int = 1,
    progress: bool = False,
    **settings: Any,
) -> Run:
    """Trains a recipe, writes its submission and stores the run in the ledger of the workspace.

    `recipe` is a name in RECIPES or a Recipe, and `settings` change any of its fields. The run is named after `name`,
    or else its recipe. `workers` is the number of networks that are trained at a time, each in its own process.
    `progress` prints each epoch. Raises InputError for an invalid recipe, field or name, and RunError when the training
    diverges or a file cannot be written.

    Example: `run = dr.train(dr.load_data("sample"), "quick", epochs=3, name="first")`
    """
    if not isinstance(data, Dataset):
        raise InputError(f"data: expected the result of load_data, received {type(data).__name__}.")
    if not isinstance(recipe, str | Recipe):
        raise InputError(f"recipe: expected a name or a Recipe, received {type(recipe).__name__}.")
    workspace = _workspace(workspace)
    recipe_name, base = choose(recipe, None) if isinstance(recipe, str) else (f"{recipe.model}-recipe", recipe)
    mode = NewRun(recipe_name, change(base, with_named_members(settings)), name)
    config = pipeline.RunConfig(mode, execution=ExecutionConfig(workers))
    return open_run(pipeline.run_on(data, config, workspace, _reporter(progress)).run, workspace)


def open_run(name: str | int, workspace: Place = None) -> Run:
    """Returns a run of the ledger by its id, its name, a part of its name that no other run has, or "last".

    Raises InputError when no run or more than one matches, and RunError when the ledger cannot be read.

    Example: `run = dr.open_run("last")`
    """
    workspace = _workspace(workspace)
    with workspace.existing_ledger() as ledger:
        return Run(ledger.run(str(name)), workspace)


def predict(run: str | int | Run, images: np.ndarray, workspace: Place = None) -> np.ndarray:
    """Returns the probabilities (n, 10) float64 of `images`, as `Run.predict`, for a run or its name.

    Raises InputError as `Run.predict` and `open_run` do.

    Example: `labels = dr.predict("last", dr.load_data("sample").test.pixels).argmax(axis=1)`
    """
    return (run if isinstance(run, Run) else open_run(run, workspace)).predict(images)


def leaderboard(workspace: Place = None, sort: str = "accuracy", every: bool = False) -> pd.DataFrame:
    """Returns a DataFrame with a row for each finished run, the best first; with `every`, also for unfinished runs.

    `sort` is accuracy (the lower end of its interval), loss, public, weights, seconds or newest. Columns: id, run,
    name, status, estimate (holdout or out-of-fold), n, accuracy with its 95 % interval low and high, loss (log-loss),
    public_score, test_accuracy, weights, seconds, recipe, models, differences (from the named recipe), data, note.
    Accuracies and scores are in [0, 1]. Raises InputError for another `sort`, and when there is no ledger.

    Example: `dr.leaderboard().head()`
    """
    return pd.DataFrame(board.leaderboard(_workspace(workspace), sort, every=every))


def compare(
    first: str | int | Path | Run,
    second: str | int | Path | Run,
    workspace: Place = None,
    data: str | Path | None = None,
) -> RunComparison | FileComparison:
    """Compares two runs on the rows that both held out by the exact McNemar test, or two submission files.

    `data` is the location of the runs' train.csv, by default that of the first run. The result has a `verdict`, and for
    runs `difference`, the accuracy of the second minus that of the first, with its 95 % `interval` and `p_value`.
    Raises InputError for unknown or unfinished runs, and when the runs share no held-out rows.

    Example:

        data = dr.load_data("sample")
        second = dr.train(data, "quick", epochs=3, shift=1, name="second")
        dr.compare("first", second).verdict
    """
    workspace = _workspace(workspace, first, second)
    return compare_runs_or_files(_word(first), _word(second), workspace, None if data is None else Path(data))


def blend(
    runs: Sequence[str | int | Run],
    weights: str = "greedy",
    *,
    name: str = "blend",
    workspace: Place = None,
    progress: bool = False,
) -> Run:
    """Averages the stored predictions of finished runs into a new run.

    `weights` is "greedy", chosen on held-out rows and validated on others, or "equal". Raises InputError for unknown or
    unfinished runs, and when the runs share too few held-out rows.

    Example: `dr.blend(["first", "second"]).validation`
    """
    workspace = _workspace(workspace, *runs)
    result = blending.blend_runs([*map(_word, runs)], workspace, weights, name, reporter=_reporter(progress))
    return open_run(result.run, workspace)


def score(file: str | Path | Run, answers: str | Path, workspace: Place = None) -> Grades:
    """Scores a submission file, or that of a run, against known labels; a ledger in the workspace stores the score.

    `answers` is a CSV with ImageId,Label or a labelled Kaggle CSV. `files[0].score` of the result has `accuracy` in
    [0, 1] with its 95 % `interval`, `precision` and `recall` (10,) float64, NaN for a digit that is never predicted or
    not among the answers, and `confusion` (10, 10) int64 [answer, label]. Raises InputError when a file is invalid or
    the numbers of rows differ.

    Example: `dr.score("submissions/submission.csv", "data/sample/answers.csv").files[0].score.accuracy`
    """
    grades = grade_files([file.submission if isinstance(file, Run) else Path(file)], Path(answers))
    record_grades(_workspace(workspace, file), grades)
    return grades


def submit(
    file: str | Path | Run,
    message: str = "",
    *,
    force: bool = False,
    workspace: Place = None,
    progress: bool = False,
) -> KaggleEntry:
    """Uploads a submission file, or that of a run, to Kaggle once, and waits for its score.

    Its description on Kaggle begins with `message`; `force` uploads a file that Kaggle already has. The result has
    `ref`, `status` and `public_score`, in [0, 1] or None. Raises InputError when the file cannot be submitted or there
    are no credentials, and RunError when Kaggle refuses it.

    Example: `dr.submit("submissions/submission.csv", "first try").public_score`
    """
    submission = file.submission if isinstance(file, Run) else Path(file)
    data = file.record.data_place if isinstance(file, Run) else None
    return submit_file(submission, _workspace(workspace, file), data, message, force, _reporter(progress))


def _word(run: str | int | Path | Run) -> str:
    return run.name if isinstance(run, Run) else str(run)


def _workspace(given: Place, *runs: Any) -> Workspace:
    """The given workspace, else that of the first run, else the current folder."""
    if given is None:
        return next((run.workspace for run in runs if isinstance(run, Run)), Workspace())
    return given if isinstance(given, Workspace) else Workspace(Path(given))


def _reporter(progress: bool) -> Reporter:
    return ConsoleReporter() if progress else SILENT
