"""The output of the commands that train: results, blends, sweeps, estimates."""

from shlex import quote

from digit_recognizer.cli.app import command_line
from digit_recognizer.recipes.toml import describe_settings
from digit_recognizer.tracking.run_record import RunResult
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.estimate import RunEstimate
from digit_recognizer.training.tuning.sweep import SweepResult
from digit_recognizer.utils.console import print_table, print_text

_STRONGER = {"strong": "committee", "committee": None}  # the recipe to try next; "strong" after others
_FAILED = 0.5  # validation accuracy below which a training failed


def show_result(result: RunResult) -> None:
    """Print the metrics, time and submission of a run."""
    parts = {"train": result.train, "validation": result.validation, "test (answers)": result.score}
    rows = [
        [name, f"{part.n:,}", f"{part.log_loss:.4f}", f"{part.accuracy:.4f}", f"{part.error:.2%}"]
        for name, part in parts.items()
        if part
    ]
    if rows:
        print_table(["", "images", "loss", "accuracy", "error"], rows)
    if result.validation and result.validation.accuracy < _FAILED:
        print_text("Warning: the training failed; most held-out images are predicted wrongly.", style="yellow")
    if result.networks:
        read, train, total = (f"{result.seconds[part]:.1f} s" for part in ("read", "train", "total"))
        summed = " (sum over the networks)" if result.networks > 1 else ""
        print_text(f"Read in {read}, trained in {train}{summed}, {total} in total.")
    workspace = Workspace(result.submission.parents[2])
    print_text(f"Wrote {result.submission}, also as {workspace.newest_submission}")
    if result.check:
        print_text(result.check.verdict, style="bold")


def show_next_steps(result: RunResult) -> None:
    """Print commands to continue with after a run."""
    is_sample = (result.data or "").startswith("the built-in sample")
    print_text(f"  inspect it      {command_line(f'report {result.run}')}", wrap=False)
    if is_sample:
        print_text(f"  Kaggle's files  {command_line('download')}", wrap=False)
    else:
        print_text(f"  upload it       {command_line(f'submit {quote(str(result.submission))}')}", wrap=False)
    if stronger := _STRONGER.get(result.recipe, "strong"):
        print_text(f"  more accurate   {command_line(f'run --recipe {stronger}')}", wrap=False)


def show_blend(result: RunResult) -> None:
    """Print the weights of a blend and its nested validation."""
    print_table(["run", "weight"], [[name, f"{weight:.3f}"] for name, weight in (result.runs or {}).items()])
    if result.validation is None:
        print_text("No validation: at least one of these runs held out no rows.")
    show_result(result)


def show_sweep(result: SweepResult) -> None:
    """Print the progress of a study, its best trial, and the command that trains that recipe on a new seed."""
    counts = ", ".join(f"{n} {state}" for state, n in result.trials.items())
    print_text(f"Study {result.study}: {counts or 'no trials'}.")
    if best := result.best:
        value = f"{result.objective} {best.value:.4f}"
        print_text(f"Best: trial {best.trial}, {value}, {describe_settings(best.params)}.", style="bold")
        print_text(f"To check it with new folds and weights: {command_line(result.again or '')}", wrap=False)


def show_estimate(found: RunEstimate) -> None:
    """Print the networks that a run would train."""
    rows = [
        [
            network.name,
            f"{network.epochs:,}",
            f"{network.fitted:,}",
            f"{network.held_out:,}",
            "-" if network.seconds is None else f"{network.seconds:,.0f}",
        ]
        for network in found.networks
    ]
    if not rows:
        return print_text("All networks are trained; only the submission is not written yet.")
    print_table(["network", "epochs", "images", "held out", "s"], rows, spare=("held out",))
    networks, threads = _counted(len(rows), "network"), _counted(found.threads, "thread")
    at_a_time = "one per worker of the cluster" if found.at_a_time is None else f"{found.at_a_time} at a time"
    seconds = "" if found.seconds is None else f", about {found.seconds:,.0f} s"
    if seconds and found.at_a_time is None:
        seconds += " on a single worker"
    print_text(f"{networks}, {at_a_time} with {threads} each{seconds}. Nothing was trained.")


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
