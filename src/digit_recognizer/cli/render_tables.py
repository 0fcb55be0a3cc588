"""The output of the other commands: leaderboard, runs, comparisons, scores, upload plans, predictions, models."""

from collections.abc import Sequence
from typing import Any

from digit_recognizer.cli.app import command_line
from digit_recognizer.competition.plan import UploadPlan
from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.grading import FileGrade, Grades
from digit_recognizer.inference.export import ExportResult
from digit_recognizer.inference.predict_file import PredictResult
from digit_recognizer.recipes.toml import describe
from digit_recognizer.report.leaderboard import LeaderboardRow, RunDetails, filled_columns
from digit_recognizer.tracking.compare import FileComparison, RunComparison
from digit_recognizer.tracking.run_dir import last_checkpoint_epoch
from digit_recognizer.tracking.run_record import NetworkRecord, short_name
from digit_recognizer.utils.console import print_table, print_text

_SPARE = ("note", "log-loss", "validation", "train s", "weights", "data", "status")  # left out on a narrow terminal
_N_PROPOSED = 3  # uploads; their scores may change the plan


def show_leaderboard(rows: Sequence[LeaderboardRow]) -> None:
    """Print the leaderboard without its empty columns."""
    if not rows:
        train = command_line("run")
        return print_text(f"No finished run matches. --all also lists unfinished runs; `{train}` trains a network.")
    columns = filled_columns(rows)
    cells = [[column.text(row) for column in columns] for row in rows]
    print_table([column.title for column in columns], cells, _SPARE)
    if any(row.n for row in rows):
        print_text("±: half of the 95 % interval. Sorting by accuracy uses the lower end of the interval.", style="dim")


def show_run(found: RunDetails) -> None:
    """Print a run with its networks, uploads and scores."""
    run = found.run
    print_text(f"{run.name} (#{run.id}): {found.status}", style="bold")
    if run.error:
        print_text(run.error, style="yellow")
    if run.kind == "run" and found.status in ("interrupted", "failed"):
        epoch, n_networks = last_checkpoint_epoch(run.folder), len(found.networks)
        kept = f"Trained networks: {n_networks}. Last checkpoint: {f'epoch {epoch}' if epoch else 'none'}."
        print_text(f"{kept} To resume it: {command_line(f'run --resume {run.name}')}", wrap=False)
    estimate = "none: no rows held out" if run.status == "done" else "none"
    if validation := run.validation:
        low, high = validation.interval
        estimate = f"{validation.accuracy:.4f} ({low:.4f} to {high:.4f}) on {validation.n:,} rows, "
        estimate += f"loss {validation.log_loss:.4f}"
    facts = {
        "recipe": f"{run.recipe_name}: {_settings(found)}",
        run.estimate or "validation": estimate,
        "data": f"{run.data} ({run.source}); train.csv {run.train_hash}, test.csv {run.test_hash}",
        "time": ", ".join([run.started, *(f"{part} {value:.1f} s" for part, value in run.seconds.items())]),
        "machine": f"{run.cpu}, {run.threads} threads",
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "code": run.code or "not under git",
        "file": f"sha256 {run.submission_hash}" if run.submission_hash else "none",
        "note": run.note or "none",
    }
    print_table(["", ""], [[name, text] for name, text in facts.items()])
    if found.networks:
        print_table(
            ["network", "weights", "train", "validation", "loss", "s"], [_network(own) for own in found.networks]
        )
    for entry in found.submissions:
        states = ", ".join(f"{state.status} {state.at}" for state in found.states[entry.id])
        score = "" if entry.public_score is None else f", public score {entry.public_score:.5f}"
        print_text(f"Kaggle entry {entry.ref or '(none)'}: {states}{score}")
    for graded in found.scores:
        print_text(f"scored {graded.at}: {graded.correct / graded.n:.5f}, {graded.correct:,} of {graded.n:,}")


def _network(row: NetworkRecord) -> list[str]:
    metrics = [_number(value) for value in (row.train_accuracy, row.accuracy, row.loss)]
    return [row.name, f"{row.weights:,}", *metrics, f"{row.seconds:.1f}"]


def _settings(found: RunDetails) -> str:
    """All fields of the recipe, or the weights of a blend."""
    run = found.run
    if run.is_blend:
        return ", ".join(f"{name} {weight:.3f}" for name, weight in run.blend_weights.items())
    try:
        return describe(run.recipe)
    except InputError as error:
        return f"{dict(run.recipe_fields)} (not a valid recipe in this version: {error})"


def show_comparison(found: RunComparison | FileComparison) -> None:
    """Print the comparison of two runs or of two submission files."""
    if isinstance(found, FileComparison):
        return print_text(found.verdict)
    print_text(f"{found.first} -> {found.second}, on the {found.n:,} rows that both held out")
    print_text(f"correct only in the first: {found.only_first:,} rows; only in the second: {found.only_second:,}")
    low, high = found.interval
    print_text(f"difference {found.difference:+.5f}, 95 % interval {low:+.5f} to {high:+.5f}")
    if found.board:
        print_text(found.board)
    print_text(f"{found.verdict} (exact McNemar test)", style="bold")


def show_grades(found: Grades) -> None:
    """Print the scores of submission files."""
    for file in found.files:
        _show_file(file)
    if found.comparison:
        print_text(found.comparison.verdict, style="bold")
    if found.errors:
        first = found.files[0]
        n_wrong = first.score.n - first.score.correct
        print_text(f"Wrote the {n_wrong:,} misclassified rows of {first.file} to {found.errors}.")


def _show_file(file: FileGrade) -> None:
    score = file.score
    low, high = score.interval
    print_text(
        f"{file.file}: {score.correct:,} of {score.n:,} correct, accuracy {score.accuracy:.5f} "
        f"(95 % interval {low:.5f} to {high:.5f})",
        style="bold",
    )
    digits = file.to_json()["digits"]
    rows = [[digit, _number(row["precision"]), _number(row["recall"])] for digit, row in digits.items()]
    print_table(["digit", "precision", "recall"], rows)
    confusions = [f"true {answer}, predicted {label}: {n:,}" for answer, label, n in file.score.top_confusions()]
    print_text(f"most frequent confusions   {'   '.join(confusions) or 'none'}")


def show_plan(found: UploadPlan) -> None:
    """Print the entries on Kaggle, the files that are not uploaded, and the commands to upload the best."""
    allowance, best = found.allowance, found.best
    if found.trouble:
        print_text(f"{found.trouble} The plan is based on the ledger alone.", style="yellow")
    elif allowance is None:
        print_text("No credentials, or no answer about the allowance: the plan is based on the ledger alone.")
    else:
        left = f", left: {allowance.num_allowed_now}" if allowance.num_total else ""
        print_text(f"Kaggle entries: {found.n_entries}, made today: {allowance.num_today}{left}.")
    if best and best.public_score is not None:
        print_text(f"Best so far: entry {best.ref}, public score {best.public_score:.5f}.")
    for run in found.sent:
        score = "" if run.public_score is None else f", public score {run.public_score:.5f}"
        print_text(f"Uploaded: {short_name(run.run)}, entry {run.ref}{score}.")
    if found.n_of_the_sample:
        print_text(f"Runs on the built-in sample, which Kaggle cannot score: {found.n_of_the_sample}.")
    if not found.files:
        return print_text(f"No files to upload. `{command_line('run')}` on Kaggle's data writes one.")
    rows = [
        [
            short_name(file.run),
            "-" if file.expected is None else f"{file.expected:.4f} ± {file.standard_error:.4f}",
            "-" if file.differs_from_best is None else f"{file.differs_from_best:,}",
            f"near copy of {short_name(file.near_copies[0])}" if file.near_copies else "",
        ]
        for file in found.files
    ]
    print_table(["not uploaded", "expected score", "labels that differ", ""], rows)
    print_text("±: standard error of a public score. Sorted by the lower end of the validation interval.", style="dim")
    worth = [file for file in found.files if file.worth_an_entry]
    if not worth:
        print_text("No file is expected to score higher than the uploaded ones. Keep the entries for later.")
    elif allowance and allowance.exhausted:
        print_text("Today's allowance is used up; it is renewed at 00:00 UTC.")
    else:
        print_text("Upload next:")
        n_left = allowance.num_allowed_now if allowance and allowance.num_total else _N_PROPOSED
        for file in worth[: min(n_left, _N_PROPOSED)]:
            print_text(f"  {command_line(file.command)}", wrap=False)


def show_predict(result: PredictResult) -> None:
    """Print the number of labelled rows, the rate and the slowest stage."""
    if result.bad:
        print_text(f"Invalid rows written to {result.skip_bad}: {result.bad:,}", style="yellow")
    busy = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.busy.items())
    print_text(
        f"Labelled {result.rows:,} rows with {result.engine}, {result.rows_per_second:,.0f} per second ({busy})."
    )
    print_text(f"Bottleneck: {result.limit}. Wrote {result.output}")


def show_export(result: ExportResult) -> None:
    """Print the exported file and its check against the run."""
    print_text(f"Wrote {result.file}, {result.bytes:,} bytes: pixels (n, 28, 28) uint8 in, probabilities (n, 10) out.")
    print_text(
        f"Checked on {result.rows:,} rows of {result.checked_on}: same labels, probabilities within "
        f"{result.largest_difference:.1g}."
    )


def show_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print records as a table."""
    cells = [[f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()] for row in rows]
    print_table(list(rows[0]), cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
