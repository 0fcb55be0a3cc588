"""Converts numbers to the coordinates that the template draws as SVG, without markup and colours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 420, 260  # of the SVG, which the page scales
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 38  # margins
N_TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through points; the style sheet colours it by its class `kind`."""

    kind: str
    points: Sequence[Point]
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart in the coordinates of the page."""

    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[tuple[str, str, str], ...]  # kind, "x,y x,y ...", title
    dots: tuple[tuple[float, float, str], ...]  # x, y, title
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def chart(
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    dots: Sequence[tuple[float, float, str]] = (),
    whole_x: bool = False,
    log_y: bool = False,
) -> Chart:
    """A chart of lines, and of dots with titles, with axes that include all of them.

    `whole_x` is for counts such as epochs; `log_y` takes effect where all values are above 0.
    """
    everything = [point for line in lines for point in line.points] + [(x, y) for x, y, _ in dots]
    x_axis = _linear([x for x, _ in everything], whole_x)
    heights = [y for _, y in everything]
    y_axis = _logarithmic(heights) if log_y and min(heights) > 0 else _linear(heights)

    def place(x: float, y: float) -> Point:
        across = LEFT + x_axis.part(x) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - y_axis.part(y) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    return Chart(
        x_label,
        y_label,
        tuple((place(tick, heights[0])[0], text) for tick, text in x_axis.ticks),
        tuple((place(everything[0][0], tick)[1], text) for tick, text in y_axis.ticks),
        tuple((line.kind, _path(place, line.points), line.title) for line in lines),
        tuple((*place(x, y), title) for x, y, title in dots),
    )


@dataclass(frozen=True)
class _Axis:
    """`part` maps values to 0 at the low end and 1 at the high end; ticks are (value, text)."""

    part: Callable[[float], float]
    ticks: list[tuple[float, str]]


def _linear(values: Sequence[float], whole: bool = False) -> _Axis:
    """Round limits around the values, and evenly spaced ticks."""
    low, high = min(values), max(values)
    if high - low < 1e-12:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    ticks = MaxNLocator(N_TICKS, steps=[1, 2, 5, 10], integer=whole).tick_values(low, high)
    first, last = ticks[0], ticks[-1]
    return _Axis(lambda value: (value - first) / (last - first), [(float(tick), f"{tick:g}") for tick in ticks])


def _logarithmic(values: Sequence[float]) -> _Axis:
    """Limits and ticks at 1, 2 and 5 times a power of ten."""
    low, high = min(values), max(values)
    nice = [m * 10.0**power for power in range(floor(log10(low)) - 1, ceil(log10(high)) + 2) for m in (1, 2, 5)]
    first = max(tick for tick in nice if tick <= low * (1 + 1e-9))
    last = min(tick for tick in nice if tick >= high * (1 - 1e-9) and tick > first)
    shown = [(tick, f"{tick:g}") for tick in nice if first <= tick <= last]
    return _Axis(lambda value: log10(value / first) / log10(last / first), shown)


def _path(place: Callable[[float, float], Point], points: Sequence[Point]) -> str:
    places = [place(x, y) for x, y in points]
    if len(places) == 1:  # a polyline of one point is invisible
        places = [(x + aside, y) for x, y in places for aside in (-3, 3)]
    return " ".join(f"{x},{y}" for x, y in places)
