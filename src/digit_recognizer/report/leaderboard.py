"""The leaderboard of the runs in the ledger, and all records of a single run."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from digit_recognizer.errors import InputError
from digit_recognizer.recipes.catalog import DEFAULT, RECIPES
from digit_recognizer.recipes.recipe import network_recipes
from digit_recognizer.recipes.toml import describe
from digit_recognizer.tracking.run_record import (
    NetworkRecord,
    RunRecord,
    ScoreRecord,
    StateRecord,
    SubmissionRecord,
    short_name,
)
from digit_recognizer.tracking.run_session import status
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.text import escape_formula

SORTS = {  # the field, and -1 where the highest value is the first
    "accuracy": ("low", -1),  # the lower end, as accuracies on few rows are uncertain
    "loss": ("loss", 1),
    "public": ("public_score", -1),
    "weights": ("weights", 1),
    "seconds": ("seconds", 1),
    "newest": ("id", -1),
}


@dataclass(frozen=True)
class LeaderboardRow:
    """A run. `low` and `high` are the 95 % interval of the accuracy on `n` held-out rows."""

    id: int
    run: str
    name: str  # without its time
    status: str
    estimate: str | None  # holdout or out-of-fold
    n: int | None
    accuracy: float | None
    low: float | None
    high: float | None
    loss: float | None
    public_score: float | None
    test_accuracy: float | None  # of an offline score
    weights: int | None
    seconds: float | None  # of training
    recipe: str
    models: tuple[str, ...]
    differences: str  # the settings that differ from those of the named recipe
    data: str
    note: str

    @property
    def sample(self) -> str:
        """Marks a run on the built-in sample."""
        return "sample" if self.data == "sample" else ""

    @property
    def half_interval(self) -> float:
        return ((self.high or 0.0) - (self.low or 0.0)) / 2

    @property
    def changed_settings(self) -> str:
        return self.differences or "none"


@dataclass(frozen=True)
class Column:
    """A column of the printed leaderboard and of the report."""

    title: str
    field: str  # of a row
    number: str = ""  # the format of a number, given the row

    def text(self, row: LeaderboardRow) -> str:
        """The cell of a row."""
        value = getattr(row, self.field)
        return "-" if value in (None, "") else self.number.format(row) if self.number else str(value)


COLUMNS = (
    Column("#", "id", "{0.id}"),
    Column("name", "name"),
    Column("status", "status"),
    Column("accuracy", "accuracy", "{0.accuracy:.4f} ± {0.half_interval:.4f}"),
    Column("validation", "estimate"),
    Column("public", "public_score", "{0.public_score:.5f}"),
    Column("log-loss", "loss", "{0.loss:.4f}"),
    Column("weights", "weights", "{0.weights:,}"),
    Column("train s", "seconds", "{0.seconds:.0f}"),
    Column("data", "sample"),
    Column("note", "note"),
    Column("changed settings", "changed_settings"),
)


@dataclass(frozen=True)
class RunDetails:
    """All records of a run in the ledger."""

    run: RunRecord
    status: str
    networks: tuple[NetworkRecord, ...]
    submissions: tuple[SubmissionRecord, ...]
    states: Mapping[int, Sequence[StateRecord]]  # by the submissions' ids
    scores: tuple[ScoreRecord, ...]

    def to_json(self) -> dict[str, Any]:
        run = asdict(self.run)
        for name in ("recipe_fields", "submissions"):
            del run[name]
        return {
            **run,
            "settings": json.dumps(run["settings"]),
            "status": self.status,
            "recipe": dict(self.run.recipe_fields),
            "members": [asdict(network) for network in self.networks],
            "submissions": [
                {**asdict(row), "states": [asdict(state) for state in self.states[row.id]]} for row in self.submissions
            ],
            "scores": [asdict(score) for score in self.scores],
        }


def leaderboard(
    workspace: Workspace,
    sort: str = "accuracy",
    recipe: str | None = None,
    model: str | None = None,
    n: int | None = None,
    every: bool = False,
) -> list[LeaderboardRow]:
    """A row for each finished run, the best first; with `every`, also for unfinished runs.

    `sort` is one of SORTS; by accuracy and loss, runs on the sample come last. `recipe` and `model` select runs, `n`
    limits their number. Raises InputError for another `sort`, and if there is no ledger.
    """
    if sort not in SORTS:
        raise InputError(f"`sort` {sort}: expected one of {', '.join(SORTS)}.")
    with workspace.existing_ledger() as ledger:
        rows = [leaderboard_row(run) for run in ledger.runs() if every or run.status == "done"]
    kept = [row for row in rows if recipe in (None, row.recipe) and (model is None or model in row.models)]
    field, sign = SORTS[sort]

    def rank(row: LeaderboardRow) -> tuple[bool, bool, float]:
        value = getattr(row, field)
        on_sample = sort in ("accuracy", "loss") and row.data == "sample"  # not comparable with other data
        return on_sample, value is None, sign * (value or 0)  # unknown values come last

    return sorted(kept, key=rank)[:n]


def filled_columns(rows: Sequence[LeaderboardRow]) -> list[Column]:
    """The columns without those that are empty, or `done`, in all `rows`."""
    return [column for column in COLUMNS if any(column.text(row) not in ("-", "done") for row in rows)]


def leaderboard_row(run: RunRecord) -> LeaderboardRow:
    """The row of a run."""
    found = run.validation
    models, differences = _describe_recipe(run)
    return LeaderboardRow(
        id=run.id,
        run=run.name,
        name=run.short_name,
        status=status(run),
        estimate=run.estimate,
        n=found.n if found else None,
        accuracy=found.accuracy if found else None,
        low=found.interval[0] if found else None,
        high=found.interval[1] if found else None,
        loss=found.log_loss if found else None,
        public_score=run.public_score,
        test_accuracy=run.test_correct / run.test_n if run.test_n and run.test_correct is not None else None,
        weights=run.weights,
        seconds=run.seconds_train,
        recipe=run.recipe_name,
        models=models,
        differences=differences,
        data=run.source,
        note=run.note,
    )


def run_details(word: str, workspace: Workspace, note: str | None = None) -> RunDetails:
    """All records of a run in the ledger, after its note is replaced by `note`, if given.

    Raises InputError unless exactly one run matches `word`.
    """
    with workspace.existing_ledger() as ledger:
        run = ledger.run(word)
        if note is not None:
            ledger.update_run(run.id, note=note)
            run = ledger.run(run.name)
        sent = ledger.submissions(run.submission_hash) if run.submission_hash else []
        return RunDetails(
            run=run,
            status=status(run),
            networks=tuple(ledger.networks(run.id)),
            submissions=tuple(sent),
            states={row.id: ledger.submission_states(row.id) for row in sent},
            scores=tuple(ledger.scores(run.submission_hash) if run.submission_hash else ()),
        )


def to_csv(rows: Sequence[LeaderboardRow]) -> str:
    """The leaderboard as CSV; the models of a run share a cell."""
    text = io.StringIO()
    table = csv.DictWriter(text, [column.name for column in fields(LeaderboardRow)], lineterminator="\n")
    table.writeheader()
    for row in rows:
        flat = {**asdict(row), "models": " + ".join(row.models)}
        table.writerow({key: escape_formula(value) for key, value in flat.items()})
    return text.getvalue()


def _describe_recipe(run: RunRecord) -> tuple[tuple[str, ...], str]:
    """The models, and the changed settings of a recipe or the runs of a blend."""
    if run.is_blend:
        parts = [f"{weight:.2f} {short_name(name)}" for name, weight in run.blend_weights.items()]
        return ("blend",), f"{run.recipe_fields['weights']} blend of " + " + ".join(parts)
    try:
        recipe = run.recipe
    except InputError:
        return (str(run.recipe_fields.get("model", "")),), "a recipe that this version does not accept"
    models = tuple(dict.fromkeys(own.model for own in network_recipes(recipe)))
    name = run.recipe_name if run.recipe_name in RECIPES else DEFAULT
    words = describe(recipe, RECIPES[name])
    return models, words if name == DEFAULT else ", ".join(filter(None, [name, words]))
