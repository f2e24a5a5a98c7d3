"""Quality gates: conditions on `metrics.json` such as `multilingual.map>=0.55`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from isoglot.core.errors import GateMissedError, InputError

_FORM = re.compile(r"\s*(?P<path>\S.*?)\s*(?P<sign>>=|<=)\s*(?P<bound>[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*")


class Gate(NamedTuple):
    """A condition: dotted path into `metrics.json`, `>=` or `<=`, and a bound."""

    path: str
    sign: str
    bound: float


def parse_gate(text: str) -> Gate:
    """Parse a condition.

    Raises:
        InputError: `text` is not of the form PLACE>=NUMBER or PLACE<=NUMBER.

    >>> parse_gate("pairs.de>en.map >= 0.5")
    Gate(path='pairs.de>en.map', sign='>=', bound=0.5)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise InputError(f"require {text!r}: expected PLACE>=NUMBER or PLACE<=NUMBER, such as multilingual.map>=0.55")
    return Gate(match["path"], match["sign"], float(match["bound"]))


def check_gates(gates: list[Gate], record: dict[str, Any]) -> None:
    """Check the figures of `metrics.json` against conditions.

    Raises:
        InputError: a path at which there is no figure.
        GateMissedError: some conditions were missed; the message lists all of them with their figures.
    """
    missed = []
    for gate in gates:
        value = _look_up(record, gate.path)
        if not (value >= gate.bound if gate.sign == ">=" else value <= gate.bound):
            missed.append(f"{gate.path} is {value:.4g}, wanted {gate.sign} {gate.bound:g}")
    if missed:
        raise GateMissedError("; ".join(missed))


def _look_up(record: dict[str, Any], path: str) -> float:
    place: Any = record
    rest = path
    while rest:
        # A key may hold dots itself, such as `multilingual.map` among the intervals: the longest that fits is meant.
        keys = list(place) if isinstance(place, dict) else []
        key = max((key for key in keys if f"{rest}.".startswith(f"{key}.")), key=len, default=None)
        if key is None:
            near = ", ".join(keys[:20]) if isinstance(place, dict) else "a single number"
            raise InputError(f"require {path}: no {rest.partition('.')[0]!r} in metrics.json; there is: {near}")
        place, rest = place[key], rest[len(key) + 1 :]
    if isinstance(place, bool) or not isinstance(place, (int, float)) or place != place:
        raise InputError(f"require {path}: expected a number in metrics.json, found {place!r}")
    return float(place)
