"""The runs of docs/benchmarks.json as Markdown tables and as an SVG plot. Reads and writes no files."""

from collections.abc import Callable, Sequence
from io import BytesIO
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.toml import describe_models
from figures import gflops, head
from public import PEERS

N_FITTED = 37_800  # rows of train.csv without the holdout
GOALS = (0.98, 0.99, 0.994, 0.996)
# Published test accuracy of such networks on MNIST's 10,000 test images, after training on its 60,000.
PUBLISHED = {
    "plain-lenet5-1998": "0.9905",
    "plain-lenet-28": "0.985",
    "plain-deep-cnn": "0.993",
    "plain-simple-cnn": "0.9839",
    "plain-wide-cnn": "0.9919",
}
_BESIDE = (((7, 0), "left"), ((-7, 0), "right"), ((0, 9), "center"), ((0, -9), "center"))  # offset in points, alignment
Run = dict[str, Any]


def images_per_second(run: Run) -> float:
    """Training throughput of the median epoch, validation included; without the first epoch if there are more."""
    ends = [epoch["seconds"] for epoch in run["epochs"]]
    return N_FITTED / (float(median(np.diff(ends))) if len(ends) > 1 else ends[0])


def seconds_to(goal: float, run: Run) -> float:
    """Seconds until the epoch from which on all reach `goal`; the last epoch has the final accuracy of the run."""
    ends = [(epoch["seconds"], epoch["accuracy"]) for epoch in run["epochs"][:-1]]
    ends.append((run["train"], run["accuracy"]))
    below = [number for number, (_, reached) in enumerate(ends) if reached < goal]
    first = below[-1] + 1 if below else 0
    return ends[first][0] if first < len(ends) else np.inf


def cells(name: str, runs: list[Run], rate: float) -> dict[str, str]:
    """A table row: medians of `runs`, accuracy as mean ± standard deviation. `rate` is the matrix rate in GFLOP/s."""

    def middle(value: Callable[[Run], float]) -> float:
        return float(np.median([value(run) for run in runs]))

    speed = middle(images_per_second) if all(run["epochs"] for run in runs) else None
    work = gflops(runs[0]["multiply_adds"], speed) if speed else None

    accuracy = [run["accuracy"] for run in runs]
    spread = f" ± {stdev(accuracy):.4f}" if len(runs) > 1 else ""
    goals = {f"s to {goal}": middle(lambda run, goal=goal: seconds_to(goal, run)) for goal in GOALS}
    return {
        "recipe": f"`{name}`" if name in RECIPES else f"*{name}*",
        "model": describe_models(RECIPES[name]) if name in RECIPES else "",
        "weights": f"{runs[0]['weights']:,}",
        "validation accuracy": f"{mean(accuracy):.4f}{spread}",
        "n": str(len(runs)),
        "log-loss": f"{mean(run['loss'] for run in runs):.3f}",
        **{goal: f"{seconds:.1f}" if np.isfinite(seconds) else "–" for goal, seconds in goals.items()},
        "training, s": f"{middle(lambda run: run['train']):.1f}",
        "start to submission, s": f"{middle(lambda run: run['to_submission']):.1f}",
        "images/s": f"{speed:,.0f}" if speed else "–",
        "GFLOP/s": f"{work:.0f}" if work else "–",
        "share of matrix rate": f"{work / rate:.0%}" if work else "–",
        "peak, GB": f"{middle(lambda run: run['peak_mb']) / 1024:.1f}",
        "published": PEERS[name].published if name in PEERS else PUBLISHED.get(name, ""),
    }


def by_machine(runs: list[Run]) -> list[list[Run]]:
    """The runs of each machine. The machine with the most runs comes first."""
    machines = sorted({run["machine"] for run in runs})
    apart = [[run for run in runs if run["machine"] == machine] for machine in machines]
    return sorted(apart, key=len, reverse=True)


def by_name(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs by recipe or peer, in the order of RECIPES and PEERS."""
    apart = {name: [run for run in runs if run["name"] == name] for name in (*RECIPES, *PEERS)}
    return {name: own for name, own in apart.items() if own}


def highest_rate(runs: list[Run]) -> int:
    """The matrix rate of the machine in GFLOP/s: the maximum, as other load lowers it."""
    rate: int = max(run["matrix_gflops"] for run in runs)
    return rate


def table(runs: list[Run], columns: Sequence[str] = ()) -> str:
    """The table of one machine's runs, with all columns by default."""
    rate = highest_rate(runs)
    rows = [cells(name, own, rate) for name, own in by_name(runs).items()]
    columns = columns or list(rows[0])
    lines = [f"| {' | '.join(row[column] for column in columns)} |" for row in rows]
    dates = ", ".join(sorted({run["date"] for run in runs}))
    return "\n".join([head(columns), *lines, "", f"{runs[0]['machine']}; {dates}."])


def full_tables(runs: list[Run]) -> str:
    """A table per machine, and the sources of the public trainings."""
    tables = [
        f"{table(own)} Matrix rate: {highest_rate(own)} GFLOP/s, the highest measured." for own in by_machine(runs)
    ]
    sources = "\n".join(f"- *{name}*: {PEERS[name].source}." for name in by_name(runs) if name in PEERS)
    return "\n\n".join([*tables, sources])


def short_table(runs: list[Run]) -> str:
    """The README's table of one machine's runs, without the `plain-` recipes."""
    columns = [
        "recipe",
        "model",
        "weights",
        "validation accuracy",
        "n",
        "log-loss",
        "s to 0.99",
        "training, s",
        "start to submission, s",
    ]
    return table([run for run in runs if not run["name"].startswith("plain-")], columns)


def picture(runs: list[Run]) -> bytes:
    """Plot of validation accuracy against seconds of training. Returns SVG; equal runs give identical bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams |= {"svg.hashsalt": "peers", "svg.fonttype": "none", "font.family": "sans-serif"}
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axis = figure.subplots()
    named = by_name(runs)
    points = {
        name: (median(run["train"] for run in own), 100 * (1 - mean(run["accuracy"] for run in own)))
        for name, own in named.items()
    }
    for name, (x, y) in points.items():
        spread = 100 * stdev(run["accuracy"] for run in named[name]) if len(named[name]) > 1 else 0
        axis.errorbar(x, y, yerr=spread, fmt="o", color=_colour(name), elinewidth=0.8)
    axis.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="validation accuracy")
    errors = [0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2]
    axis.set_yticks(errors, [f"{1 - error / 100:.4g}" for error in errors])
    axis.set_yticks([], minor=True)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlim(right=5 * axis.get_xlim()[1])  # room for the names
    axis.invert_yaxis()
    axis.grid(alpha=0.3, which="both")
    _write_names(axis, points)
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _colour(name: str) -> str:
    return "C7" if name in PEERS else "C1" if name.startswith("plain-") else "C0"


def _write_names(axis: Any, points: dict[str, tuple[float, float]]) -> None:
    """Label each point at the position that overlaps the fewest other points and labels."""
    from matplotlib.transforms import Bbox

    axis.figure.draw_without_rendering()  # fixes the positions of the points
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axis.transData.transform(list(points.values()))]
    for name, point in points.items():
        texts = [
            axis.annotate(
                name, point, place, textcoords="offset points", fontsize=8, color=_colour(name), ha=side, va="center"
            )
            for place, side in _BESIDE
        ]
        best = min(texts, key=lambda text: sum(text.get_window_extent().overlaps(box) for box in taken))
        taken.append(best.get_window_extent())
        for text in texts:
            if text is not best:
                text.remove()
