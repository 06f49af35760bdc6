"""Where the parts of a line plot stand, for the pages' SVG (pages/parts.html draws them). Inline
SVG from a template of forty lines keeps matplotlib out of the dependencies, follows a page's dark
mode, and its points have titles."""

import math
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 44, 12, 10, 40


@dataclass(frozen=True)
class Line:
    """points: (x, y, half the height of the bar around it). dashed: figures of others."""

    name: str
    points: tuple[tuple[float, float, float], ...]
    dashed: bool = False


@dataclass(frozen=True)
class Plot:
    """x_ticks, y_ticks: (place, text). lines: name, hue in degrees, dashed, path, dots with place,
    bar and title."""

    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[dict]


def plot(
    lines: list[Line],
    x_label: str,
    y_label: str,
    *,
    names: tuple[str, ...],
    ticks: tuple[float, ...] = (),
    log: bool = False,
) -> Plot:
    """A plot of at least one point; y begins at 0. names: of all lines that plots beside each other
    may have, for their colors. ticks: the marked x (default: chosen from the points)."""
    xs = [x for line in lines for x, _, _ in line.points]
    top = max(y + bar for line in lines for _, y, bar in line.points)
    step = 20 if top > 50 else 10 if top > 20 else 5
    high = step * math.ceil(max(top, 1) / step)
    ticks = ticks or _ticks(min(xs), max(xs), log)
    scale = math.log10 if log else float
    low, wide = scale(min(*xs, *ticks)), scale(max(*xs, *ticks)) - scale(min(*xs, *ticks)) or 1.0

    def across(x: float) -> float:
        return round(LEFT + (scale(x) - low) / wide * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(HEIGHT - BOTTOM - y / high * (HEIGHT - TOP - BOTTOM), 1)

    return Plot(
        x_label,
        y_label,
        [(across(x), f"{x:,g}") for x in ticks],
        [(down(y), f"{y}") for y in range(0, high + 1, step)],
        [
            _drawn(line, names.index(line.name) / len(names), across, down)
            for line in lines
            if line.points
        ],
    )


def _drawn(line: Line, turn: float, across, down) -> dict:
    points = sorted(line.points)
    dots = [
        {
            "x": across(x),
            "y": down(y),
            "low": down(max(0.0, y - bar)),
            "high": down(y + bar),
            "title": f"{line.name}: {y:.1f}",
        }
        for x, y, bar in points
    ]
    path = " ".join(f"{'L' if k else 'M'}{dot['x']} {dot['y']}" for k, dot in enumerate(dots))
    return {
        "name": line.name,
        "hue": round(360 * turn),
        "dashed": line.dashed,
        "path": path,
        "dots": dots,
    }


def _ticks(low: float, high: float, log: bool) -> tuple[float, ...]:
    """Three to seven round numbers; 1, 3, 10, 30, ... on a logarithmic axis."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return tuple(
            m * 10.0**p for p in powers for m in (1, 3) if low / 3 <= m * 10.0**p <= high * 3
        )
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9) or 1))
    step *= next(m for m in (0.2, 0.5, 1, 2) if (high - low) / (m * step) <= 6)
    return tuple(step * k for k in range(math.floor(low / step), math.ceil(high / step) + 1))
