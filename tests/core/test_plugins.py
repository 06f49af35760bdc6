"""What a person's own code raises becomes one sentence; what this package raises does not."""

import pytest
import torch

import tests.own_networks  # noqa: F401  own_code asks where it lies
from unlearnable import UserError
from unlearnable.core.plugins import LONGEST, any_own_code, one_line, own_code, own_place
from unlearnable.core.units import to_unit

OWN = "tests.own_networks:Plain"


class Strange(Exception):
    def __str__(self) -> str:
        raise ValueError


def here(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [ValueError("two\nlines"), SystemExit(0), SystemExit("bye"), StopIteration(), Strange()],
)
def test_whatever_own_code_raises_is_one_sentence(error):
    for guard in (own_code("model", OWN, "failed"), any_own_code()):
        with pytest.raises(UserError) as caught, guard:
            here(error)
        said = str(caught.value)
        assert type(error).__name__ in said and "test_plugins.py:" in said and "\n" not in said


def test_what_is_not_own_stays_what_it_is():
    with pytest.raises(KeyboardInterrupt), own_code("model", OWN, "failed"):
        here(KeyboardInterrupt())
    with pytest.raises(UserError, match="^said$"), own_code("model", OWN, "failed"):
        here(UserError("said"))
    with pytest.raises(ValueError), own_code("model", "resnet18", "failed"):
        here(ValueError())
    with pytest.raises(AttributeError) as caught:
        to_unit("no tensor")  # type: ignore[arg-type]
    error = caught.value
    assert own_place(error) and error.__traceback__  # called from this file, which is own
    assert own_place(error.with_traceback(error.__traceback__.tb_next)) is None


def test_a_network_also_answers_for_torch():
    with pytest.raises(UserError, match="IndexError"), own_code("model", OWN, "failed"):
        torch.nn.functional.cross_entropy(torch.zeros(2, 2), torch.tensor([0, 2]))


def test_long_messages_are_cut():
    assert len(one_line(ValueError("x" * 10_000))) == LONGEST + 3
