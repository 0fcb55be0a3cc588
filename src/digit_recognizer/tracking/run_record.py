"""Rows of the ledger as frozen records, and the record of a finished run."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Metrics, Validation, validation
from digit_recognizer.recipes.recipe import Recipe, from_record
from digit_recognizer.utils.environment import Environment, current_environment

_PARTS = ("read", "train", "predict", "total")  # whose seconds the ledger holds


@dataclass(frozen=True)
class RunHeader:
    """The part of a run's row that is known before the training."""

    kind: str  # run, blend or trial
    recipe_name: str
    recipe: Mapping[str, Any]  # of JSON: each field, or of a blend its runs and their weights
    data: str  # the location of the data, relative to the workspace if within it
    source: str  # a `data.sources.Source.kind`
    train_hash: str
    test_hash: str
    seed: int | None = None
    device: str | None = None  # cpu or gpu
    environment: Environment = field(default_factory=current_environment)

    def columns(self) -> dict[str, Any]:
        """The columns of the ledger's table `runs`."""
        columns = asdict(self)
        environment = columns.pop("environment")
        return columns | environment


@dataclass(frozen=True)
class RunRecord:
    """A row of the ledger's table `runs`, with the scores of its submission."""

    id: int
    name: str  # of its folder
    kind: str  # run, blend or trial
    status: str  # running, done, failed, diverged, interrupted or pruned; `run_session.status` finds killed ones
    started: str  # UTC, ISO 8601
    finished: str | None
    recipe_name: str
    recipe_fields: Mapping[str, Any]  # of JSON
    seed: int | None
    data: str
    source: str
    train_hash: str
    test_hash: str
    code: str | None
    versions: Mapping[str, str | None]
    cpu: str
    threads: int
    weights: int | None  # of all networks that predict test.csv
    estimate: str | None  # holdout or out-of-fold: the rows that n, correct and loss are of
    n: int | None
    correct: int | None
    loss: float | None
    seconds_read: float | None
    seconds_train: float | None
    seconds_predict: float | None
    seconds_total: float | None
    submission_hash: str | None  # SHA-256 of submission.csv
    note: str
    error: str
    device: str | None
    settings: Mapping[str, str]  # variables of the environment that change the bits
    public_score: float | None
    test_correct: int | None
    test_n: int | None
    submissions: Path  # the folder of the run folders; no column

    @property
    def folder(self) -> Path:
        """The run folder. Raises InputError for a name that would lead elsewhere."""
        return self.submissions / checked_folder_name(self.name)

    @property
    def short_name(self) -> str:
        """The name without its time."""
        return short_name(self.name)

    @property
    def data_place(self) -> Path:
        """The location of the data when the run began."""
        return self.submissions.parent / self.data

    @property
    def is_blend(self) -> bool:
        return self.kind == "blend"

    @property
    def recipe(self) -> Recipe:
        """The recipe of a run that trained. Raises InputError when this version refuses it."""
        return from_record(dict(self.recipe_fields))

    @property
    def blend_weights(self) -> dict[str, float]:
        """The weights of a blend by the names of its runs."""
        return dict(self.recipe_fields["runs"])

    @property
    def validation(self) -> Validation | None:
        """The metrics on held-out rows, None without any."""
        return validation(self.n, self.correct or 0, self.loss or 0.0) if self.n else None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of reading, training, predicting and in total, as far as they are known."""
        found = {part: getattr(self, f"seconds_{part}") for part in _PARTS}
        return {part: seconds for part, seconds in found.items() if seconds is not None}

    @property
    def backend(self) -> str | None:
        """The backend of Keras; None where an old version did not keep it."""
        return self.versions.get("backend")


@dataclass(frozen=True)
class NetworkRecord:
    """A row of the ledger's table `members`: a trained network."""

    run_id: int
    name: str
    model: str
    seed: int
    fold: int | None  # from 1; None outside cross-validation
    weights: int
    train_n: int
    train_accuracy: float
    train_loss: float
    n: int | None  # held-out rows
    accuracy: float | None
    loss: float | None
    seconds: float  # of training
    finished: str
    seconds_predict: float | None


@dataclass(frozen=True)
class SubmissionRecord:
    """A row of the ledger's table `submissions`: an upload to Kaggle."""

    id: int
    hash: str  # SHA-256 of the file
    file: str
    ref: int | None  # Kaggle's number of the entry
    description: str
    status: str  # UPLOADING, CREATING; REFUSED, UNKNOWN; Kaggle's PENDING, COMPLETE, ERROR; LOST
    public_score: float | None
    error: str
    made: str

    @property
    def is_unclear(self) -> bool:
        """Whether an entry may exist that Kaggle did not confirm."""
        return self.status in UNCLEAR_STATES and self.ref is None


# States of an upload that may have made an entry: the creation was started or not answered, or Kaggle does not list it.
UNCLEAR_STATES = ("CREATING", "UNKNOWN", "LOST")


@dataclass(frozen=True)
class StateRecord:
    """A row of the ledger's table `submission_states`."""

    submission_id: int
    status: str
    at: str


@dataclass(frozen=True)
class ScoreRecord:
    """A row of the ledger's table `scores`: an offline score."""

    id: int
    hash: str  # SHA-256 of the scored file
    file: str
    answers_hash: str
    n: int
    correct: int
    at: str


@dataclass(frozen=True)
class KaggleEntry:
    """An entry of the competition after its upload."""

    ref: int
    status: str  # PENDING, COMPLETE or ERROR
    public_score: float | None  # in [0, 1]


@dataclass(frozen=True)
class Reproduction:
    """A rerun compared with its original."""

    of: str  # the original's name
    same_bits: bool  # of all log-probabilities
    expected: bool  # whether the same bits were
    changes: tuple[str, ...]  # of the environment
    different: int  # test labels, of n
    n: int
    verdict: str


@dataclass(frozen=True)
class RunResult:
    """The result of a finished run: the content of its result.json."""

    run: str  # its name
    recipe: str
    weights: int  # of all networks that predict test.csv
    submission: Path
    submission_sha256: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None
    networks: int | None = None
    data: str | None = None
    train: Metrics | None = None
    validation: Validation | None = None
    runs: Mapping[str, float] | None = None  # the weights of a blend
    score: Validation | None = None  # on the answers, where the caller has them
    check: Reproduction | None = None
    kaggle: KaggleEntry | None = None

    def to_json(self) -> dict[str, Any]:
        """The record of result.json and of the option --json; what is None is left out."""
        record = {name: value for name, value in asdict(self).items() if value is not None}
        record |= {"submission": str(self.submission), "seconds": {k: round(v, 3) for k, v in self.seconds.items()}}
        metrics = {"train": self.train, "validation": self.validation, "score": self.score}
        return record | {name: found.to_json() for name, found in metrics.items() if found}


def short_name(name: str) -> str:
    """A run's name without its time."""
    return re.sub(r"^\d{8}-\d{6}-", "", name)


def checked_folder_name(name: Any) -> str:
    """A name from the ledger, which another program may have written. Raises InputError when it names no run folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(name)):
        raise InputError(
            f"the ledger contains {str(name)!r}, which is not a valid name of a run folder. "
            "Another program may have changed the ledger."
        )
    return str(name)
