"""What the commands that train print: the result of a run, a blend, a sweep, a plan of networks."""

from digit_recognizer.evaluation.metrics import Metrics
from digit_recognizer.tracking.run_record import RunResult
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.estimate import RunEstimate
from digit_recognizer.training.tuning.sweep import SweepResult, describe_params
from digit_recognizer.utils.console import print_table, print_text

_HOPELESS = 0.5  # validation accuracy
_ALL_WEIGHT = 0.999  # of a blend


def show_result(result: RunResult) -> None:
    """Print the metrics of a run, how long it took and where its submission is."""
    parts: dict[str, Metrics | None] = {
        "train": result.train,
        "validation": result.validation,
        "test (answers)": result.score,
    }
    rows = [
        [name, f"{part.n:,}", f"{part.log_loss:.4f}", f"{part.accuracy:.4f}", f"{part.error:.2%}"]
        for name, part in parts.items()
        if part
    ]
    if rows:
        print_table(["", "images", "loss", "accuracy", "error"], rows)
    if result.validation and result.validation.accuracy < _HOPELESS:
        print_text("Warning: most held-out images are predicted wrongly; the training failed.", style="yellow")
    seconds = result.seconds
    if "read" in seconds:
        summed = ", summed over processes" if seconds["train"] > seconds["total"] else ""
        trained = f"trained in {seconds['train']:.1f} s{summed}"
        print_text(f"Read in {seconds['read']:.1f} s, {trained}, {seconds['total']:.1f} s in total.")
    workspace = Workspace(result.submission.parents[2])
    print_text(f"Wrote {result.submission}, also as {workspace.newest_submission}")
    if result.check:
        print_text(result.check.verdict, style="bold")


def show_next_steps(result: RunResult) -> None:
    """Print what to do with a finished run."""
    is_sample = (result.data or "").startswith("the built-in sample")
    upload = f"upload it         digits submit {result.submission}"
    print_text(f"  look at it        digits report {result.run}")
    print_text("  Kaggle's files    digits download" if is_sample else f"  {upload}")
    print_text("  something better  digits run --recipe strong")


def show_blend(result: RunResult) -> None:
    """Print the weights of a blend and its nested validation."""
    weights = result.runs or {}
    print_table(["run", "weight"], [[name, f"{weight:.3f}"] for name, weight in weights.items()])
    if max(weights.values(), default=0) > _ALL_WEIGHT:
        print_text("One run has all the weight: the blend is that run under another name.", style="yellow")
    if result.validation is None:
        print_text("No validation: not all of these runs held rows out.")
    show_result(result)


def show_sweep(result: SweepResult) -> None:
    """Print how far a study is, its best trial, and the command that trains it afresh."""
    counts = ", ".join(f"{n} {state}" for state, n in result.trials.items())
    print_text(f"Study {result.study}: {counts or 'no trials'}.")
    if best := result.best:
        value = f"{result.objective} {best.value:.4f}"
        print_text(f"Best: trial {best.trial}, {value}, {describe_params(best.params)}.", style="bold")
        print_text(f"To check it on fresh folds and weights: {result.again}")


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
        return print_text("All networks are trained; only the submission is left to write.")
    print_table(["network", "epochs", "images", "held out", "s"], rows, spare=("held out",))
    at_a_time, seconds = found.at_a_time, found.seconds
    how = "one for each worker of the cluster" if at_a_time is None else f"{at_a_time} at a time"
    took = "" if seconds is None else f", about {seconds:,.0f} s{' one after another' if at_a_time is None else ''}"
    print_text(f"Networks: {len(rows)}, {how}, threads for each: {found.threads}{took}. Nothing was trained.")
