"""Line plots as inline SVG: this file computes the places, templates/parts.html draws them.

Forty lines of template need no matplotlib, follow a page's dark mode and give each point a title.
"""

import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 44, 12, 10, 40
# (on white, on the dark ground): at least 3:1 against the ground, and at least 25 apart in CIELAB
# for each kind of color blindness (simulation of Machado et al., 2009)
PALETTE = (
    ("#2c2c2c", "#767676"),
    ("#663112", "#cd6c1c"),
    ("#0c53ee", "#547be3"),
    ("#a11f85", "#f6a0e5"),
    ("#1da178", "#78f8c2"),
    ("#9e76e0", "#900ffb"),
    ("#9f7c18", "#fbf271"),
)
COLORS = {"clean": 0, "the clean rest alone": 0, "EM": 1, "REM": 2, "SEM": 3, "TAP": 4, "NTGA": 5}
# path data around the origin: circle, diamond, square, triangle, cross, triangle on its tip
MARKERS = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
    "M0 -5L5 0L0 5L-5 0z",
    "M-3.5 -3.5h7v7h-7z",
    "M0 -5L4.5 3.5h-9z",
    "M-4 -4L4 4M-4 4L4 -4",
    "M0 5L4.5 -3.5h-9z",
)


@dataclass(frozen=True)
class Line:
    """points: (x, y, half the height of the bar around it). dashed: figures of others."""

    name: str
    points: tuple[tuple[float, float, float], ...]
    dashed: bool = False


@dataclass(frozen=True)
class Style:
    """color: a place in ``PALETTE``; marker: path data around the origin."""

    color: int
    marker: str


@dataclass(frozen=True)
class Dot:
    """A point in the drawing, the ends of its bar, and its title."""

    x: float
    y: float
    low: float
    high: float
    title: str


@dataclass(frozen=True)
class DrawnLine:
    name: str
    style: Style
    dashed: bool
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Plot:
    """x_ticks, y_ticks: (place, text)."""

    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[DrawnLine]


def plot(
    lines: list[Line],
    x_label: str,
    y_label: str,
    *,
    names: Sequence[str],
    ticks: tuple[float, ...] = (),
    log: bool = False,
) -> Plot:
    """Lay out a plot of at least one point; y begins at 0. names: of all lines that this plot and
    those beside it may have (``styles``). ticks: the marked x (default: chosen from the points)."""
    xs = [x for line in lines for x, _, _ in line.points]
    top = max(y + bar for line in lines for _, y, bar in line.points)
    step = 20 if top > 50 else 10 if top > 20 else 5
    high = step * math.ceil(max(top, 1) / step)
    ticks = ticks or _ticks(min(xs), max(xs), log)
    scale: Callable[[float], float] = math.log10 if log else float
    low, wide = scale(min(*xs, *ticks)), scale(max(*xs, *ticks)) - scale(min(*xs, *ticks)) or 1.0

    def across(x: float) -> float:
        return round(LEFT + (scale(x) - low) / wide * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(HEIGHT - BOTTOM - y / high * (HEIGHT - TOP - BOTTOM), 1)

    style = styles(names)
    return Plot(
        x_label,
        y_label,
        [(across(x), f"{x:,g}") for x in ticks],
        [(down(y), f"{y}") for y in range(0, high + 1, step)],
        [_draw(line, style[line.name], across, down) for line in lines if line.points],
    )


def styles(names: Sequence[str]) -> dict[str, Style]:
    """Return each name's color and marker. The color is the method's in every plot ("REM(2), short"
    has REM's); the marker is that of the radius in brackets, or the next that is free in this
    color."""
    found: dict[str, Style] = {}
    for name in names:
        method = name if name in COLORS else re.split(r"[(,:]", name)[0].strip()
        color = COLORS.get(method, zlib.crc32(method.encode()) % len(PALETTE))
        radius = int(match[1]) if (match := re.search(r"\((\d+)", name)) else 0
        order = [MARKERS[(radius + k) % len(MARKERS)] for k in range(len(MARKERS))]
        taken = {style.marker for style in found.values() if style.color == color}
        found[name] = Style(color, next((m for m in order if m not in taken), order[0]))
    return found


def _draw(
    line: Line, style: Style, across: Callable[[float], float], down: Callable[[float], float]
) -> DrawnLine:
    dots = tuple(
        Dot(across(x), down(y), down(max(0.0, y - bar)), down(y + bar), f"{line.name}: {y:.1f}")
        for x, y, bar in sorted(line.points)
    )
    path = " ".join(f"{'L' if k else 'M'}{dot.x} {dot.y}" for k, dot in enumerate(dots))
    return DrawnLine(line.name, style, line.dashed, path, dots)


def _ticks(low: float, high: float, log: bool) -> tuple[float, ...]:
    """Return three to seven round numbers; 1, 3, 10, 30, ... on a logarithmic axis."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return tuple(
            m * 10.0**p for p in powers for m in (1, 3) if low / 3 <= m * 10.0**p <= high * 3
        )
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9) or 1))
    step *= next(m for m in (0.2, 0.5, 1, 2) if (high - low) / (m * step) <= 6)
    return tuple(step * k for k in range(math.floor(low / step), math.ceil(high / step) + 1))
