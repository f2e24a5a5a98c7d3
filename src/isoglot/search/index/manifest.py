"""The manifest of an index folder: format, encoder, and published versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.core.short_repr import brief
from isoglot.documents.roots import Root, to_roots

FORMAT = 5
_SHORTENED = 6  # vectors not in float32, which earlier releases would misread
_IN_CONTEXT = 7  # passages encoded in context, which earlier releases would compare queries with wrongly
_TOKENS = 8  # with token vectors, which earlier releases would not add
_BEGINNINGS = 9  # with the beginnings of words, which earlier releases would not add
_SIGNS = 10  # with compounds, which earlier releases would not add
FILE = "isoglot-index.json"
BUILDING = "building.json"  # exists during a build


@dataclass(frozen=True)
class Version:
    """One published state of an index.

    Attributes:
        number: counts up from 1.
        passages_at, folded_at: Lance versions of the two tables.
        documents, passages, folded: numbers of each; `folded` documents are exact duplicates of others.
        languages: number of passages in each.
        created: UTC, ISO 8601.
        ann: None if search is exact; else what `approximate.tune` returns.
        recall: recall of the vectors' number format (see `stored_vectors.recall`); None for float32.
    """

    number: int
    passages_at: int
    folded_at: int
    documents: int
    passages: int
    folded: int
    languages: dict[str, int]
    created: str
    ann: dict[str, Any] | None = None
    recall: dict[str, Any] | None = None

    __repr__ = brief


@dataclass(frozen=True)
class Manifest:
    """The content of `isoglot-index.json`.

    Attributes:
        model: the encoder's name.
        dimension: of the index's vectors.
        length: tokens per passage, title and prompt included.
        probe: the encoder's vectors of fixed texts, to check whether another encoder is the same.
        debias: whether passages and queries are corrected by `debias.npz`.
        options: how the encoder was opened (see `ModelOptions.record`), to open it the same way again.
        roots: the files and folders indexed so far, and the prefixes of their documents' ids.
        numbers: number format of the vectors: float32, float16 or int8.
        in_context: passages were also encoded in the context of their documents: vectors have one more dimension than
            the encoder's.
        tokens: dimension of the stored token vectors; 0 if none are stored.
        beginnings: the terms include the beginnings of words (see `search_terms`); False for older indexes, which stay
            so in updates.
        signs: the terms include compounds (see `search_terms`); False as above.
        current: number of the version that readers see.
        versions: all published versions, oldest first.
    """

    model: str
    dimension: int
    length: int
    probe: list[list[float]]
    debias: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    roots: tuple[Root, ...] = ()
    numbers: str = "float32"
    in_context: bool = False
    tokens: int = 0
    beginnings: bool = True
    signs: bool = True
    current: int = 0
    versions: list[Version] = field(default_factory=list)

    @property
    def version(self) -> Version:
        """The version that readers see."""
        return next(version for version in self.versions if version.number == self.current)

    def at(self, number: int) -> Manifest:
        """Return the manifest with another version current.

        Raises:
            InputError: there is no such version.
        """
        if all(version.number != number for version in self.versions):
            there = ", ".join(str(version.number) for version in self.versions)
            pruned = 0 < number < max(version.number for version in self.versions)
            seen = "this version was pruned" if pruned else "no such version"
            raise InputError(f"roll_back {number}: {seen}; there are: {there}")
        return replace(self, current=number)

    def write(self, folder: Path) -> None:
        """Write the file atomically; from then on readers see the new version."""
        record = asdict(self)
        if self.numbers == "float32":  # so that older releases can read it
            del record["numbers"]
            for version in record["versions"]:
                del version["recall"]
        if not self.in_context:
            del record["in_context"]
        if not self.tokens:
            del record["tokens"]
        if not self.beginnings:
            del record["beginnings"]
        if not self.signs:
            del record["signs"]
        write_json(folder / FILE, {"isoglot_index": self._format, **record}, lasting=True)

    @property
    def _format(self) -> int:
        """The earliest format that covers everything in use."""
        if self.signs:
            return _SIGNS
        if self.beginnings:
            return _BEGINNINGS
        if self.tokens:
            return _TOKENS
        return _IN_CONTEXT if self.in_context else FORMAT if self.numbers == "float32" else _SHORTENED


def read_manifest(folder: Path) -> Manifest:
    """Read an index folder's manifest.

    Raises:
        InputError: there is no index, or it is unfinished, broken, or of another format.
    """
    path = folder / FILE
    if not path.is_file():
        if (folder / BUILDING).is_file():
            raise InputError(
                f"{folder}: this index was not finished; run the same command again as `isoglot index --resume`"
            )
        raise InputError(f"{folder}: no index there; make one with `isoglot index INPUT... -o {folder}`")
    record = read_json(path)
    found = record.pop("isoglot_index", None) if isinstance(record, dict) else None
    if found not in (FORMAT, _SHORTENED, _IN_CONTEXT, _TOKENS, _BEGINNINGS, _SIGNS):
        raise InputError(
            f"{path}: index format {found}, this isoglot reads formats {FORMAT} to {_SIGNS}; "
            + (
                "update isoglot, or make the index again"
                if isinstance(found, int) and found > _SIGNS
                else f"make the index again with `isoglot index INPUT... -o {folder} --overwrite`"
            )
        )
    try:
        versions = [Version(**version) for version in record.pop("versions")]
        older = {"beginnings": False, "signs": False}
        return Manifest(versions=versions, roots=to_roots(record.pop("roots")), **{**older, **record})
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: broken ({error}); make it again with `isoglot index --overwrite`") from error
