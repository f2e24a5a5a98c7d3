"""Detect weights missing from a folder: transformers initialises them at random, logs a report, and goes on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from isoglot.core.errors import InputError

# A line of that report: one name or several combined, possibly coloured, and a status.
_MISSING = re.compile(r"^(.+?) *\| *(?:\x1b\[[\d;]*m)*MISSING", re.MULTILINE)


@contextmanager
def noting_missing() -> Iterator[list[str]]:
    """Yield a list that collects the names of weights initialised at random within the block."""
    found: list[str] = []
    log = logging.getLogger("transformers.modeling_utils")
    level = log.level

    def read(record: logging.LogRecord) -> bool:
        found.extend(_MISSING.findall(record.getMessage()))
        return record.levelno >= (level or logging.getLogger("transformers").getEffectiveLevel())

    # Everything reaches the filter, which shows what the level shows: TRANSFORMERS_VERBOSITY may hide warnings.
    log.setLevel(logging.DEBUG)
    log.addFilter(read)
    try:
        yield found
    finally:
        log.removeFilter(read)
        log.setLevel(level)


def require_weights(name: str, missing: list[str], first: Any, *, pooler: bool) -> None:
    """Reject an encoder with randomly initialised weights.

    Args:
        name: of the model, for the message.
        missing: names of its randomly initialised weights.
        first: the model's first module.
        pooler: whether the encoder's own pooler is used; if not, it may be random, as in every masked language model.

    Raises:
        InputError: naming one of the weights.
    """
    wanting = [weights for weights in missing if pooler or "pooler" not in weights.split(".")]
    if wanting:
        why = "its files are incomplete, or its config.json belongs to another model"
        if getattr(getattr(first, "config", None), "auto_map", None):
            why = "it needs its own code, which `trust_remote_code` runs"
        raise InputError(f"model {name}: its files lack weights of the encoder, such as {min(wanting)}; {why}")
