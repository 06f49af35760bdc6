"""The verdict in words: who is named where, and that terminal and page say the same."""

import re
from dataclasses import replace
from html import unescape

from unlearnable.evaluation.results import Verified, VerifiedRow
from unlearnable.reports.html import render
from unlearnable.reports.verdict import NOT_TRIED, TITLES, describe_verdict, verify_table

HELD = VerifiedRow("ordinary training", [90.0], [52.0], 0.05, "protected")
FAILED = VerifiedRow("adversarial 2/255", [80.0], [75.0], 0.83, "not protected")
WEAK = VerifiedRow("training after x", [55.0], [54.0], 0.8, "no verdict")


def verified(*rows: VerifiedRow, **more) -> Verified:
    words = {row.verdict for row in rows}
    verdict = next(v for v in ("not protected", "no verdict", "protected") if v in words)
    about = {"near_duplicates": 0, "seeds": 1, "size": 48, "holdout": 0.25, "recipe": {}}
    about |= {"photos": "photos", "protected": "out", "digest": "", "flags": ["few-seeds"]}
    return Verified(list(rows), verdict, 50.0, **about | more)


def test_the_table_names_who_is_not_stopped():
    lines = verify_table(verified(HELD, FAILED)).splitlines()
    held, *_ = (line.split() for line in lines if line.startswith("ordinary"))
    failed, *_ = (line.split() for line in lines if line.startswith("adversarial"))
    assert held == ["ordinary", "training", "90.0", "52.0", "protected"]
    assert failed == ["adversarial", "2/255", "80.0", "75.0", "NOT", "PROTECTED"]
    assert "few-seeds" in lines[-1] and "Guessing reaches 50.0" in "".join(lines[-3:])


def test_every_learner_stands_in_one_part():
    words = describe_verdict(verified(HELD, FAILED, WEAK, not_tried=["JPEG 10", "2 bits, cut off"]))
    said = {part.title: part.items for part in words.parts}
    assert list(said) == [*TITLES.values(), NOT_TRIED]
    assert said[TITLES["protected"]] == (
        "ordinary training: 52.0\u00a0% from protected photos, 90.0\u00a0% from clean ones; "
        "5\u00a0% is left",
    )
    assert [i.split(":")[0] for i in said[TITLES["not protected"]]] == ["adversarial 2/255"]
    assert [i.split(":")[0] for i in said[TITLES["no verdict"]]] == ["training after x"]
    untried = "JPEG 10; 2 bits, cut off; image generators, and whatever else people train"
    assert said[NOT_TRIED] == (untried,)
    many = (
        describe_verdict(verified(HELD, not_tried=[f"JPEG {k}" for k in range(40)]))
        .parts[-1]
        .items[0]
    )
    assert "JPEG 5; 34 more learners of `unlearnable audit`" in many and "JPEG 6" not in many
    assert words.headline.startswith("Not protected from adversarial 2/255: ") and not words.good


def test_the_headline():
    assert describe_verdict(None).headline == "Protected; whether it works was not measured yet."
    good = describe_verdict(verified(HELD))
    assert good.good and good.headline == (
        "Protected from the learners that were tried: models that train on these photos learn "
        "5\u00a0% of what clean ones would teach them."
    )
    assert describe_verdict(verified(FAILED)).headline.startswith("Not protected: models")
    assert "learn 5 to 83\u00a0%" in describe_verdict(verified(HELD, FAILED)).headline
    assert describe_verdict(verified(HELD, WEAK)).headline.startswith("No verdict: the test models")
    assert "about your classes" in describe_verdict(verified(HELD, own_classes=["me"])).headline


def test_the_size_of_the_test_and_the_spread():
    """Known answer: the sample deviation of 50 and 54 is 2.8."""
    rows = [replace(HELD, clean=[90.0, 92.0], protected=[50.0, 54.0])]
    size, spread = describe_verdict(verified(*rows, seeds=2, test_photos=15)).notes
    assert size.startswith(
        "Tested on 15 clean photos that were held out in each split, every class"
    )
    assert "Over 2 splits" in spread and "up to 2.8 points" in spread
    assert "One split" in describe_verdict(verified(HELD)).notes[-1]


def test_collateral_names_the_learner_that_moves_most():
    rows = [
        replace(HELD, others_clean=[70.0], others_protected=[69.0]),
        replace(FAILED, others_clean=[60.0], others_protected=[63.0]),
    ]
    done = verified(*rows, own_classes=["me"], test_photos=4, test_others=20)
    size, _, others = describe_verdict(done).notes
    assert "4 clean photos of yours and 20 of the others'" in size
    assert others == (
        "On the others' classes the same learners move by at most 3.0 points (adversarial 2/255: "
        "63.0\u00a0% instead of 60.0\u00a0%)."
    )
    lines = verify_table(done).splitlines()
    assert lines[1].split("  ")[-1].strip() == "others', protected"
    assert lines[2].split()[-2:] == ["70.0", "69.0"]


def test_terminal_and_page_say_the_same():
    done = verified(HELD, FAILED, WEAK, test_photos=9, not_tried=["JPEG 10"])
    words, said = describe_verdict(done), verify_table(done)
    values = {"photos": [], "classes": ["a", "b"], "most": 1, "histogram": []}
    card = {"measured": dict.fromkeys(("linf", "ssim", "psnr", "lowest_psnr"), 1.0)}
    page = render("report.html", words=words, verified=done, card=card, flags=[], rows=[], **values)
    shown = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))
    sentences = [words.headline, *words.notes]
    sentences += [s for part in words.parts for s in (part.title, *part.items)]
    for sentence in sentences:
        assert sentence in said and " ".join(sentence.split()) in shown


def test_names_cannot_become_escape_sequences():
    hostile = replace(FAILED, learner="x\x1b[31m")
    assert "\x1b" not in verify_table(verified(HELD, hostile, not_tried=["\x1b[2J"]))
