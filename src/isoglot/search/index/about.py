"""What an index says about itself beside its passages, wherever it is kept."""

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
    """What it takes to ask an index in vectors: the encoder, and the correction that its vectors went through.

    Attributes:
        model: the encoder's name.
        dimension: of its vectors.
        length: tokens of a passage, title and prompt included.
        probe: the encoder's vectors of fixed texts, to tell whether another one is the same; empty where unknown.
        options: how the encoder was opened (see `ModelOptions.record`).
        debias: corrects queries as the passages were.
        version: number of the index's version.
        mean_terms: index terms of a passage in the mean, which BM25 takes the length of passages by.
        in_context: passages' vectors have one dimension more, see `isoglot.encoders.in_context.filled_up`.
    """

    model: str
    dimension: int
    length: int = 0
    probe: Sequence[Sequence[float]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    debias: Debias | None = None
    version: int = 0
    mean_terms: float = 0.0
    in_context: bool = False

    def is_like(self, other: About) -> bool:
        """Whether the two say the same."""
        mine, theirs = (replace(one, debias=None, probe=[list(row) for row in one.probe]) for one in (self, other))
        return mine == theirs and self.corrects_like(other)

    def corrects_like(self, other: About) -> bool:
        """Whether vectors of the two went through the same correction, or through none."""
        mine, theirs = ((one.debias.fingerprint if one.debias else None) for one in (self, other))
        return mine == theirs

    def to_text(self) -> str:
        """As JSON, for stores that keep a text beside their passages."""
        record = asdict(replace(self, debias=None))
        if not self.in_context:
            del record["in_context"]  # as isoglots that know nothing of it read it
        return json_line({"isoglot_about": FORMAT, **record, "debias": _packed(self.debias)})

    @classmethod
    def from_text(cls, text: str, where: str) -> About:
        """Read what `to_text` wrote.

        Args:
            text: the JSON.
            where: it was found, for messages.

        Raises:
            InputError: broken, or of another format.
        """
        remedy = "export it again with `isoglot export --overwrite`"
        try:
            record = json.loads(text)
            found = record.pop("isoglot_about")
            if found != FORMAT:
                raise InputError(f"{where}: format {found}, this isoglot reads format {FORMAT}; {remedy}")
            return cls(**{**record, "debias": _unpacked(record["debias"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{where}: what it says about its encoder is broken ({error}); {remedy}") from error


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
