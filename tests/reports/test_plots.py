"""Plots stand where the numbers are; the looks of a method's line are the same in every plot."""

from xml.etree import ElementTree

import pytest

from unlearnable.reports.plots import (
    COLORS,
    MARKERS,
    PALETTE,
    Line,
    Plot,
    Point,
    styles,
    to_page,
    to_pdf,
    to_svg,
)

SVG = "{http://www.w3.org/2000/svg}"
LINES = (
    Line("EM", (Point(0, 0), Point(4, 100, 5, "EM, AT-4: 100 ± 5"))),
    Line("REM(2)", (Point(2, 50),), dashed=True),
)
PLOT = Plot(LINES, "radius", "accuracy, %", ("EM", "REM(2)"), (0, 2, 4), guessing=10)


def test_a_method_has_one_color_and_a_radius_one_marker():
    main = styles(("clean", "EM", "REM(0)", "REM(2)", "REM(4)", "SEM(2)"))
    other = styles(("SEM(2), gray 0.5", "REM(2)", "EM"))
    assert main["REM(2)"] == other["REM(2)"] and main["EM"] == other["EM"]
    assert main["SEM(2)"] == other["SEM(2), gray 0.5"]
    assert {main[f"REM({r})"].color for r in (0, 2, 4)} == {COLORS["REM"]}
    assert len({main[f"REM({r})"].marker for r in (0, 2, 4)}) == 3 <= len(set(MARKERS))


def test_no_two_lines_of_a_plot_look_alike():
    names = [f"{m}, {t}" for t in ("ordinary", "AT-2") for m in ("clean", "EM", "REM(2)", "LSP")]
    assert len(set(styles(names).values())) == len(names)
    assert len(set(COLORS.values())) == len({*COLORS} - {"the clean rest alone"}) <= len(PALETTE)


def dots(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Where the points stand, by their titles."""
    return {
        group[0].text or "": (float(use.get("x", 0)), float(use.get("y", 0)))
        for group in root.iter(f"{SVG}g")
        if len(group) and group[0].tag == f"{SVG}title"
        for use in group.iter(f"{SVG}use")
    }


def test_points_stand_where_the_numbers_are():
    pytest.importorskip("matplotlib")
    root = ElementTree.fromstring(to_svg(PLOT, "about it"))
    at = dots(root)
    zero, half, full = at["EM: 0.0"], at["REM(2): 50.0"], at["EM, AT-4: 100 ± 5"]
    assert half == pytest.approx([(a + b) / 2 for a, b in zip(zero, full)], abs=0.01)
    assert zero[1] > full[1]  # down is up in a drawing
    words = {t.text for t in root.iter(f"{SVG}text")}
    assert {"0", "2", "4", "radius", "accuracy, %", "EM", "REM(2)", "guessing"} <= words
    assert root.get("width") == "234pt"  # 3.25 inches
    assert root.get("aria-label") == "about it" and root.get("role") == "img"
    wide = to_svg(PLOT, "about it", width=560)
    assert ' width="560"' in wide and "height=" not in wide.split(">")[0]


def test_the_same_numbers_give_the_same_bytes():
    pytest.importorskip("matplotlib")
    assert to_svg(PLOT, "x") == to_svg(PLOT, "x") and to_pdf(PLOT) == to_pdf(PLOT)
    assert to_pdf(PLOT).startswith(b"%PDF") and b"CreationDate" not in to_pdf(PLOT)
    assert "<metadata" not in to_svg(PLOT, "x")


def test_a_page_says_the_colors():
    pytest.importorskip("matplotlib")
    text = to_page(PLOT, "a < b")
    assert text.startswith("<svg ") and 'class="plot"' in text and "a &lt; b" in text
    assert "var(--line-1)" in text and "var(--soft)" in text and "#663112" not in text
    assert "<style" not in text and ' id="figure' not in text


def test_a_logarithmic_axis_has_round_numbers():
    pytest.importorskip("matplotlib")
    line = Line("EM", (Point(100, 1), Point(10_000, 2)))
    root = ElementTree.fromstring(to_svg(Plot((line,), "", "", ("EM",), log=True), ""))
    assert {"100", "1,000", "10,000"} <= {t.text for t in root.iter(f"{SVG}text")}
