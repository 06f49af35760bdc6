"""The one table: the same cells in all four forms, and nothing in them that is obeyed."""

import csv
import re

import pytest

from unlearnable.core.text import printable
from unlearnable.reports.tables import (
    Cell,
    Table,
    heat,
    mean_std,
    measured,
    number,
    to_csv,
    to_html,
    to_markdown,
    to_text,
)

TABLE = Table(
    "Title",
    ("rank", "method", "accuracy"),
    (
        (Cell("1", 1), Cell("EM"), measured([20.0, 24.0], chance=10.0, emphasis=True)),
        (Cell("2", 2), Cell("REM(2)"), number(100.0)),
    ),
    notes=("Before.",),
    footnotes=("After.",),
    heading=1,
    heat_ends=("guessing", "all"),
)


def test_mean_and_sample_standard_deviation():
    assert mean_std([1234.5]) == "1,234.5" and mean_std([1.0, 3.0]) == "2.0 ± 1.4"
    assert mean_std([1.0, 2.0, 6.0], 2) == "3.00 ± 2.65"
    assert (heat(5.0, 10.0), heat(55.0, 10.0), heat(100.0, 10.0)) == (0.0, 0.5, 1.0)


def test_markdown():
    assert to_markdown(TABLE, 3) == (
        "### Title\n\nBefore.\n\n"
        "| rank | method | accuracy       |\n"
        "| ---- | ------ | -------------- |\n"
        "| 1    | EM     | **22.0 ± 2.8** |\n"
        "| 2    | REM(2) | 100.0          |\n\nAfter.\n"
    )


def test_text_has_numbers_to_the_right():
    assert to_text(TABLE).splitlines() == [
        "Title",
        "Before.",
        "rank  method    accuracy",
        "   1  EM      22.0 ± 2.8",
        "   2  REM(2)       100.0",
        "After.",
    ]


def test_csv():
    assert list(csv.reader(to_csv(TABLE).splitlines())) == [
        ["rank", "method", "accuracy"],
        ["1", "EM", "22.0 ± 2.8"],
        ["2", "REM(2)", "100.0"],
    ]


def test_html_says_what_is_what():
    page = to_html(TABLE)
    assert page.count('<th scope="col" aria-sort="none"') == 3
    assert re.findall(r'<th scope="row" class="name">(.*?)</th>', page) == ["EM", "REM(2)"]
    assert 'data-value="22.0"' in page and 'title="seeds: 20.0, 24.0"' in page
    assert "--heat: 0.13" in page and "<strong>22.0 ± 2.8</strong>" in page
    assert "guessing <i" in page and "Before." in page and "After." in page
    assert not re.search(r"<h\d", page)  # headings are the page's


HOSTILE = "<img src=x onerror=alert(1)>|![x](http://y)\x1b[2J\u202e"


def test_hostile_text_stays_text():
    table = Table(HOSTILE, (HOSTILE,), ((Cell(HOSTILE, tooltip=HOSTILE),),), (HOSTILE,), (HOSTILE,))
    for form in (to_markdown, to_csv, to_html, to_text):
        assert not {"\x1b", "\u202e"} & set(form(table)), form
    assert "<img" not in to_html(table) + to_markdown(table)
    assert "](" not in to_markdown(table).replace("\\](", "")
    assert to_markdown(table).splitlines()[4].replace("\\|", "").count("|") == 2


@pytest.mark.parametrize("text", ["naïve 猫 кот", "30\u00a0%", "a b"])
def test_letters_of_every_script_are_printable(text):
    assert printable(text) == text
    assert printable(f"{text}\n\x1b") == text + r"\n\x1b"
