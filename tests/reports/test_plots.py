"""The looks of a method's line are the same in every plot."""

from unlearnable.reports.plots import COLORS, PALETTE, styles


def test_a_method_has_one_color_and_a_radius_one_marker():
    main = styles(("clean", "EM", "REM(0)", "REM(2)", "REM(4)", "SEM(2)"))
    other = styles(("SEM(2), gray 0.5", "REM(2)", "EM"))
    assert main["REM(2)"] == other["REM(2)"] and main["EM"] == other["EM"]
    assert main["SEM(2)"] == other["SEM(2), gray 0.5"]
    assert {main[f"REM({r})"].color for r in (0, 2, 4)} == {COLORS["REM"]}


def test_no_two_lines_of_a_plot_look_alike():
    names = [f"{m}, {t}" for t in ("ordinary", "AT-2") for m in ("clean", "EM", "REM(2)", "LSP")]
    assert len(set(styles(names).values())) == len(names)
    assert len(set(COLORS.values())) == len({*COLORS} - {"the clean rest alone"}) <= len(PALETTE)
