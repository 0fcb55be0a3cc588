"""The runs of the benchmark as tables and as a picture.

Comes in: records as docs/benchmarks.json holds them. Goes out: Markdown and SVG. Refuses to know files.
"""

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
# Test accuracy that authors of such networks published, on MNIST's 60,000 training and 10,000 test images.
PUBLISHED = {
    "plain-lenet5-1998": "0.9905",
    "plain-lenet-28": "0.985",
    "plain-deep-cnn": "0.993",
    "plain-simple-cnn": "0.9839",
    "plain-wide-cnn": "0.9919",
}
_BESIDE = (((7, 0), "left"), ((-7, 0), "right"), ((0, 9), "center"), ((0, -9), "center"))  # of a point, in points
Run = dict[str, Any]


def images_per_second(run: Run) -> float:
    """Of an epoch and its validation; the first one, which compiles, only where there is no other."""
    ends = [epoch["seconds"] for epoch in run["epochs"]]
    return N_FITTED / (float(median(np.diff(ends))) if len(ends) > 1 else ends[0])


def seconds_to(goal: float, run: Run) -> float:
    """Until the epoch from which on all reached the goal; of the last one, what the run says at last counts."""
    ends = [(epoch["seconds"], epoch["accuracy"]) for epoch in run["epochs"][:-1]]
    ends.append((run["train"], run["accuracy"]))
    below = [number for number, (_, reached) in enumerate(ends) if reached < goal]
    first = below[-1] + 1 if below else 0
    return ends[first][0] if first < len(ends) else np.inf


def cells(name: str, runs: list[Run], rate: float) -> dict[str, str]:
    """A row: medians, and mean ± deviation of the accuracy, of `runs`; `rate` is the machine's, in GFLOP/s."""

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
        "of the matrix rate": f"{work / rate:.0%}" if work else "–",
        "peak, GB": f"{middle(lambda run: run['peak_mb']) / 1024:.1f}",
        "published": PEERS[name].published if name in PEERS else PUBLISHED.get(name, ""),
    }


def by_machine(runs: list[Run]) -> list[list[Run]]:
    """The runs of each machine, those of the one with the most first."""
    machines = sorted({run["machine"] for run in runs})
    apart = [[run for run in runs if run["machine"] == machine] for machine in machines]
    return sorted(apart, key=len, reverse=True)


def by_name(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs of each recipe and peer that there is, in the order of their tables."""
    apart = {name: [run for run in runs if run["name"] == name] for name in (*RECIPES, *PEERS)}
    return {name: own for name, own in apart.items() if own}


def highest_rate(runs: list[Run]) -> int:
    """The machine's own matrix rate: less was measured when something else kept it busy."""
    rate: int = max(run["matrix_gflops"] for run in runs)
    return rate


def table(runs: list[Run], columns: Sequence[str] = ()) -> str:
    """Of one machine's runs; all columns, unless some are named."""
    rate = highest_rate(runs)
    rows = [cells(name, own, rate) for name, own in by_name(runs).items()]
    columns = columns or list(rows[0])
    lines = [f"| {' | '.join(row[column] for column in columns)} |" for row in rows]
    dates = ", ".join(sorted({run["date"] for run in runs}))
    return "\n".join([head(columns), *lines, "", f"{runs[0]['machine']}; {dates}."])


def full_tables(runs: list[Run]) -> str:
    """A table for each machine, and what the public trainings are."""
    tables = [
        f"{table(own)} Matrix rate: {highest_rate(own)} GFLOP/s, the highest that was measured."
        for own in by_machine(runs)
    ]
    sources = "\n".join(f"- *{name}*: {PEERS[name].source}." for name in by_name(runs) if name in PEERS)
    return "\n\n".join([*tables, sources])


def short_table(runs: list[Run]) -> str:
    """Of one machine's runs, without the plain recipes."""
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
    """Accuracy against seconds of training, a point for each; SVG, the same bytes for the same figures."""
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
    """Each point's name beside it, where it covers the fewest other points and names."""
    from matplotlib.transforms import Bbox

    axis.figure.draw_without_rendering()  # decides where the points are
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
