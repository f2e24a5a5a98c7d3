"""Open a verb's encoder, and report how many texts it truncates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.core.progress import progress_line
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.encoders.embedder import Encoded, Encoder, Role, Vectors
    from isoglot.encoders.token_vectors import TokenEncoder, TokenVectors


def open_encoder(name: str, options: ModelOptions | None, devices: str | None = None) -> Encoder:
    """Open a verb's encoder, and report after how many tokens it truncates texts."""
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.encoders.opening import open_embedder

    quiet_libraries()
    encoder = open_embedder(name, options, devices=devices or ())
    say_length(getattr(encoder, "length", None), options)
    return encoder


def say_length(length: int | None, options: ModelOptions | None) -> None:
    """Report after how many tokens texts are truncated, and where that number comes from."""
    if length is not None:
        given = options is not None and options.length is not None
        why = "" if given else "; the model's preset, --length gives another number"
        progress_line(f"texts are read up to {length} tokens{why}")


class Reporting:
    """An encoder that reports after each call how many texts it truncated."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.name, self.device = encoder, encoder.name, encoder.device

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors, with the counts of tokens and of truncated texts."""
        found = self._encoder.encoded(texts, role, what=what)
        _say_cut(found.cut, len(texts), what or f"{role} texts", found.length)
        return found


class CountingTokens:
    """An encoder of texts and tokens that counts truncated texts over many calls, reported by `say`."""

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder, self.name, self.device = encoder, encoder.name, encoder.device
        self._cut, self._texts = Counter[str](), Counter[str]()

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        return self._encoder(texts, role)

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors, with the counts of tokens and of truncated texts."""
        return self._encoder.encoded(texts, role, what=what)

    def encoded_tokens(self, texts: list[str], role: Role, *, what: str | None = None) -> TokenVectors:
        """Return token vectors."""
        return self._encoder.encoded_tokens(texts, role, what=what)

    def encoded_with_tokens(
        self, texts: list[str], role: Role, *, what: str | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Return unit vectors and token vectors; counts the truncated texts."""
        vectors, tokens = self._encoder.encoded_with_tokens(texts, role, what=what)
        self._cut[role] += int(tokens.was_cut.sum())
        self._texts[role] += len(texts)
        return vectors, tokens

    def say(self) -> None:
        """Report how many texts were truncated so far."""
        for role, cut in self._cut.items():
            _say_cut(cut, self._texts[role], f"{role} texts", getattr(self._encoder, "length", None))


def say_shards(folder: Path, options: ModelOptions | None) -> None:
    """Report length and truncation of vectors that were written to a folder."""
    from isoglot.core.files import read_json
    from isoglot.encoders.vector_files import COMPLETE

    facts = read_json(folder / COMPLETE)
    say_length(facts["length"], options)
    _say_cut(facts["cut"], facts["vectors"], "texts", facts["length"])


def _say_cut(cut: int, count: int, what: str, length: int | None) -> None:
    if cut:
        share = f"{cut / count:.1%}"
        progress_line(f"{cut} of {count} {what} ({share}) are longer than {length} tokens: their ends were not read")


def device_of(encoder: Encoder) -> str:
    """Return the name of an encoder's device for `run.json`."""
    from isoglot.core.run_record import device_name

    return device_name(encoder.device) if encoder.device.partition(":")[0] in ("cpu", "cuda") else encoder.device
