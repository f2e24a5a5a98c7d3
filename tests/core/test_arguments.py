import doctest
import json
from dataclasses import dataclass

import numpy as np
import pytest

from isoglot.core import arguments
from isoglot.core.arguments import check_number, check_whole, settle
from isoglot.core.errors import InputError


def test_examples():
    assert doctest.testmod(arguments).failed == 0


@pytest.mark.parametrize("value", [True, 4.0, "4", None, [4]])
def test_what_is_no_whole_number(value):
    with pytest.raises(InputError, match=r"^length .*: expected a whole number of tokens, at least 4$"):
        check_whole("length", value, 4, "tokens")


def test_whole_numbers():
    check_whole("length", np.int64(4), 4)
    with pytest.raises(InputError, match=r"^length 3: expected at least 4$"):
        check_whole("length", np.int64(3), 4)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 0, np.float32(-1)])
def test_what_is_no_number(value):
    with pytest.raises(InputError, match=r"^lr .*: expected a positive number$"):
        check_number("lr", value, "a positive number", lambda lr: lr > 0)


def test_numbers():
    check_number("lr", np.float32(0.5), "a positive number", lambda lr: lr > 0)
    check_number("lr", 2, "a positive number", lambda lr: lr > 0)


def test_whole_numbers_up_to_some():
    check_whole("k", 10, 1, most=10)
    for value in (0, 11, "5", 2.5):
        with pytest.raises(InputError, match=r"^k .*: expected 1 to 10$"):
            check_whole("k", value, 1, most=10)


@dataclass(frozen=True)
class Given:
    steps: int = 1
    rate: float = 0.5
    seeds: tuple[int, ...] = ()
    fast: bool = False
    name: str | None = None

    def __post_init__(self):
        settle(self, "given.")


def test_numpys_scalars_become_pythons():
    array = np.arange(3)
    given = Given(array[1], np.float32(0.5), (array[2], 3), array[1] == 1, np.str_("a"))
    assert json.dumps(vars(given)) == '{"steps": 1, "rate": 0.5, "seeds": [2, 3], "fast": true, "name": "a"}'
    assert Given(seeds=[array[2]]).seeds == [2]
    assert Given() == Given(np.int64(1))


@pytest.mark.parametrize("value", ["no", 0, None, np.int64(1)])
def test_a_switch_is_true_or_false(value):
    with pytest.raises(InputError, match=r"^given\.fast: given as \w+; expected True or False$"):
        Given(fast=value)
