"""What an index records about itself besides its passages, in whichever store it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.files import json_line
from isoglot.encoders.debias import Debias, load_debias

FORMAT = 1


@dataclass(frozen=True)
class About:
    """What a vector search needs to know of an index: its encoder, and the correction applied to its vectors.

    Attributes:
        model: the encoder's name.
        dimension: of the index's vectors.
        length: tokens per passage, title and prompt included.
        probe: the encoder's vectors of fixed texts, to check whether another encoder is the same; empty if unknown.
        options: how the encoder was opened (see `ModelOptions.record`).
        debias: the correction of the passages, also applied to queries.
        version: number of the index's version.
        mean_terms: mean number of index terms per passage, for BM25's length normalization.
        signs: passages are stored with compounds among their terms (see `search_terms`); False for older exports.
        in_context: vectors have one more dimension than the encoder's, see `isoglot.encoders.in_context.filled_up`.
    """

    model: str
    dimension: int
    length: int = 0
    probe: Sequence[Sequence[float]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    debias: Debias | None = None
    version: int = 0
    mean_terms: float = 0.0
    signs: bool = True
    in_context: bool = False

    def is_like(self, other: About) -> bool:
        """Return whether all fields are equal; corrections are compared by their fingerprints."""
        mine, theirs = (replace(one, debias=None, probe=[list(row) for row in one.probe]) for one in (self, other))
        return mine == theirs and self.corrects_like(other)

    def corrects_like(self, other: About) -> bool:
        """Return whether both have the same correction, or none."""
        mine, theirs = ((one.debias.fingerprint if one.debias else None) for one in (self, other))
        return mine == theirs

    def to_text(self) -> str:
        """Return JSON, for stores that keep it beside the passages."""
        record = asdict(replace(self, debias=None))
        if not self.in_context:
            del record["in_context"]  # so that older releases can read it
        return json_line({"isoglot_about": FORMAT, **record, "debias": _packed(self.debias)})

    @classmethod
    def from_text(cls, text: str, where: str) -> About:
        """Parse what `to_text` wrote.

        Args:
            text: the JSON.
            where: its place, for messages.

        Raises:
            InputError: the text is broken, or of another format.
        """
        remedy = "export it again with `isoglot export --overwrite`"
        try:
            record = json.loads(text)
            found = record.pop("isoglot_about")
            if found != FORMAT:
                raise InputError(f"{where}: format {found}, this isoglot reads format {FORMAT}; {remedy}")
            return cls(**{"signs": False, **record, "debias": _unpacked(record["debias"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{where}: its record of the encoder is broken ({error}); {remedy}") from error


def _packed(debias: Debias | None) -> str | None:
    if debias is None:
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "debias.npz"
        debias.for_queries().save(path)
        return base64.b64encode(path.read_bytes()).decode("ascii")


def _unpacked(text: str | None) -> Debias | None:
    if text is None:
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "debias.npz"
        path.write_bytes(base64.b64decode(text, validate=True))
        return load_debias(path)
