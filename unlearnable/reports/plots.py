"""Line plots for papers and pages by matplotlib (the extra plots): as wide as a column, one color
per method and one marker per radius in every plot, no title. The same numbers give the same bytes.
"""

import io
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from unlearnable.core.errors import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.25  # inches, of a column
AXES, ROW = 2.2, 0.15  # inches: height of the axes with their labels, of a row of the legend
SOFT, RULE = "#63636a", "#dcdce0"
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
MARKERS = ("o", "D", "s", "^", "X", "v")
NOT_INSTALLED = (
    f"The plots are left out, because matplotlib is not installed, an extra: {install('plots')}."
)
STYLE: dict[Any, Any] = {  # matplotlib lists its names as literals
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": SOFT,
    "axes.linewidth": 0.6,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "unlearnable",  # else every run names its parts anew
    "pdf.fonttype": 42,  # TrueType, as journals ask for
}


@dataclass(frozen=True)
class Point:
    """bar: half the height of the bar around it. title: what a page shows when it is pointed at."""

    x: float
    y: float
    bar: float = 0.0
    title: str = ""


@dataclass(frozen=True)
class Line:
    """dashed: figures of others."""

    name: str
    points: tuple[Point, ...]
    dashed: bool = False


@dataclass(frozen=True)
class Style:
    """color: a place in ``PALETTE``; marker: one of ``MARKERS``."""

    color: int
    marker: str


@dataclass(frozen=True)
class Plot:
    """What is drawn: at least one point; y begins at 0. names: of all lines that this plot and
    those beside it may have (``styles``). ticks: the marked x (empty: as matplotlib chooses). log:
    a logarithmic x axis. guessing: the y of chance (None: not drawn)."""

    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    names: tuple[str, ...]
    ticks: tuple[float, ...] = ()
    log: bool = False
    guessing: float | None = None


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


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


def to_pdf(plot: Plot) -> bytes:
    """Return the plot as a PDF with its fonts in it."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        file = io.BytesIO()
        _figure(plot).savefig(file, format="pdf", metadata={"CreationDate": None})
    return file.getvalue()


def to_svg(plot: Plot, about: str, *, width: int | None = None) -> str:
    """Return the plot as an SVG that stands alone: white ground, every point with its title.

    about: what it shows, for those who do not see it. width: in pixels (default: a column)."""
    root = _svg(plot, about)
    if width:
        root.set("width", str(width))
        del root.attrib["height"]
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def to_page(plot: Plot, about: str) -> str:
    """Return the plot as an SVG for a page, whose style sheet says its size and its colors, light
    and dark."""
    root = _svg(plot, about)
    del root.attrib["width"], root.attrib["height"]
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)  # a page knows these names
    text = text.replace("<svg", '<svg class="plot"', 1)
    # a page has several plots, and an id stands in it once
    own = f"p{zlib.crc32(text.encode()):08x}-"
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{own}", text)
    colors = {"#ffffff": "var(--ground)", SOFT: "var(--soft)", RULE: "var(--line)"}
    colors |= {light: f"var(--line-{k})" for k, (light, _) in enumerate(PALETTE)}
    for color, variable in colors.items():
        text = text.replace(color, variable)
    return text


def _figure(plot: Plot) -> "Figure":
    """Draw it: the lines above, their names in two columns below."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    style = styles(plot.names)
    names = list(dict.fromkeys(line.name for line in plot.lines))
    columns = 2 if max(map(len, names)) < 26 else 1
    height = AXES + ROW * math.ceil(len(names) / columns)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    for line in plot.lines:
        _draw(axes, line, style[line.name], 3 + plot.lines.index(line))
    if plot.log:
        axes.set_xscale("log")
    if plot.ticks or plot.log:
        axes.set_xticks(plot.ticks or _decades(plot), minor=False)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    axes.set_ylim(0, 1.06 * max(p.y + p.bar for line in plot.lines for p in line.points))
    if plot.guessing is not None:
        axes.axhline(plot.guessing, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=2)
        axes.annotate(
            "guessing",
            (1, plot.guessing),
            (-2, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize=7,
        )
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=2, width=0.6)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    handles = [_key(style[name], name) for name in names]
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, frameon=False)
    return figure


def _draw(axes: "Axes", line: Line, style: Style, depth: int) -> None:
    color = PALETTE[style.color][0]
    points = sorted(line.points, key=lambda p: p.x)
    x, y = [p.x for p in points], [p.y for p in points]
    low = [min(p.bar, p.y) for p in points]
    if any(low):
        bars = [low, [p.bar for p in points]]
        axes.errorbar(x, y, yerr=bars, fmt="none", ecolor=color, elinewidth=0.8, zorder=depth)
    dashes = (0, (4, 3)) if line.dashed else "-"
    axes.plot(x, y, color=color, linestyle=dashes, zorder=depth)
    for p in points:  # each of its own, because each has a title
        (dot,) = axes.plot(
            [p.x], [p.y], style.marker, color=color, markeredgewidth=0, zorder=depth + 0.5
        )
        dot.set_gid(f"point {p.title or f'{line.name}: {p.y:.1f}'}")


def _key(style: Style, name: str) -> object:
    from matplotlib.lines import Line2D

    color = PALETTE[style.color][0]
    return Line2D([], [], color=color, marker=style.marker, markeredgewidth=0, label=name)


def _decades(plot: Plot) -> tuple[float, ...]:
    """Return 1, 3, 10, 30, ... as far as the points reach."""
    xs = [p.x for line in plot.lines for p in line.points]
    low, high = min(xs), max(xs)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [m * 10.0**p for p in powers for m in (1, 3)]
    return tuple(x for x in marks if low / 1.5 <= x <= high * 1.5)


@lru_cache(maxsize=128)  # a report shows a plot in a page, in a file, and in one for a paper
def _drawn(plot: Plot) -> bytes:
    """Return the SVG as matplotlib writes it."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        file = io.BytesIO()
        _figure(plot).savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _svg(plot: Plot, about: str) -> ElementTree.Element:
    """Return the drawing without matplotlib's style sheet and ids, which would meet those of other
    plots on a page, and without its description, which has a date; points with titles."""
    svg = "http://www.w3.org/2000/svg"
    ElementTree.register_namespace("", svg)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(_drawn(plot))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
        if parent.tag == f"{{{svg}}}g" and (name := parent.attrib.pop("id", "")).startswith(
            "point "
        ):
            title = ElementTree.Element(f"{{{svg}}}title")
            title.text = name.removeprefix("point ")
            parent.insert(0, title)
    root.set("stroke-linejoin", "round")
    root.set("role", "img")
    root.set("aria-label", about)
    return root
