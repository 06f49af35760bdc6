"""``learn``: where its results go."""

import re

import pytest

from tests.typed import typed


def test_another_precision_gets_another_folder(tmp_path):
    """bfloat16 and float32 give two results; neither run may find the other's folder."""
    few = ["--preset", "short", "--steps", 1, "--batch", 8, "--evals", 1, "--test-limit", 10]
    folders = set()
    for precision in ("fp32", "bf16", "fp32"):
        said = typed(
            "learn", "shapes", "--limit", 20, *few, "--precision", precision, cwd=tmp_path
        ).stdout
        folders |= set(re.findall(r"Log and model: (\S+)", said))
    assert len(folders) == 2


@pytest.mark.parametrize("option", [("--adv-steps", 7), ("--adv-step", 1), ("--attack", "n-fgsm")])
def test_settings_of_no_adversary_are_refused(tmp_path, option):
    said = typed(
        "learn", "shapes", "--preset", "short", "--steps", 2, *option, cwd=tmp_path, status=2
    )
    assert "the training is not adversarial; give --adv-eps" in said.stderr


def test_a_size_that_the_plain_protocol_does_not_look_at_is_refused(tmp_path):
    said = typed("learn", "shapes", "--preset", "short", "--input-size", 64, cwd=tmp_path, status=2)
    assert "input_size does nothing here" in said.stderr
