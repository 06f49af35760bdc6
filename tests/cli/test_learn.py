"""``learn``: where its results go."""

import re

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
