"""Remove the language from vectors without training, by corrections that are fitted once and saved to a file.

- `center`: x - mean of the language.
- `lir`: x - V V^T x, V the first right singular vectors of the language's vectors (arXiv 2109.04727).
- `shift`: passages not in the pivot language get -a mean(f(text in l) - f(same text in the pivot)), a = 0.6
  (arXiv 2606.18801); queries are unchanged.
- `csls`: passages that are close to every query are ranked lower (`encoders/hubness.py`); adds two dimensions.
- `center+csls`: `center`, then `csls`.

Results are unit vectors. If both queries and passages are given, they are fitted separately, since encoders with
prompts put them in different regions.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.core.short_repr import brief
from isoglot.encoders.embedder import Role, Vectors, check_role
from isoglot.encoders.hubness import Hubs
from isoglot.languages.codes import known_code

Method = Literal["center", "lir", "shift", "csls", "center+csls"]
METHODS: tuple[Method, ...] = get_args(Method)
FORMAT = 2  # format 1 called passages documents
WITH_HUBS = 3  # a higher format, so that versions of isoglot without hubs reject the file
UNKNOWN = "und"  # stands for every language that was not fitted

Langs = Sequence[str] | NDArray[Any]


class Sample(NamedTuple):
    """Vectors to fit on, (n, d), the language of each, their role, and (for `shift`) which are translations.

    In `groups`, texts that are translations of one another have the same name.
    """

    vectors: Vectors
    langs: Langs
    role: Role
    groups: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class Debias:
    """A fitted correction.

    `==` compares identity; to compare what two corrections do, compare `fingerprint`.

    Attributes:
        method: one of `METHODS`.
        parts: by (role, language), float32: (d,) to subtract, or (r, d) orthonormal rows to project out; the
            language `und` stands for all others.
        model: encoder whose vectors it was fitted on.
        settings: of the fit.
        fitted: number of texts by `role:language`.
        hubs: queries against which `csls` measures passages.
    """

    method: Method
    parts: dict[tuple[str, str], Vectors]
    model: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    fitted: dict[str, int] = field(default_factory=dict)
    hubs: Hubs | None = None

    __repr__ = brief

    @property
    def dimension(self) -> int:
        """Dimension of the vectors that it corrects."""
        held = [*self.parts.values(), *(self.hubs.bank.values() if self.hubs else ())]
        return int(held[0].shape[-1])

    @property
    def width(self) -> int:
        """Dimension of the corrected vectors."""
        return self.dimension + (2 if self.hubs else 0)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the fitted languages, sorted."""
        named = {lang for _, lang in self.parts} | set(self.hubs.bank if self.hubs else ())
        return tuple(sorted(named - {UNKNOWN}))

    def apply(self, vectors: Vectors, langs: Langs, role: Role = "passage") -> Vectors:
        """Correct vectors.

        Args:
            vectors: (n, d), unit length.
            langs: language of each; one that was not fitted gets the correction of all languages (`shift`: none).
            role: `query` or `passage`; a role that was not fitted uses the other's (`shift`: queries are unchanged).

        Returns:
            float32 (n, `width`), unit length; a vector that the correction would reduce to zero is not changed.

        Raises:
            InputError: another dimension, not one language per vector, or an unknown role.
        """
        check_role(role)
        vectors = checked(vectors, langs)
        if vectors.shape[1] != self.dimension:
            raise InputError(
                f"vectors of {vectors.shape[1]} dimensions, but the correction was fitted on {self.dimension} "
                f"({self.model or 'another model'}); fit it again with `isoglot debias fit`"
            )
        codes = codes_of(langs)
        corrected = vectors.copy()
        for lang in np.unique(codes):
            part = self._part(role, str(lang))
            if part is not None:
                rows = codes == lang
                own = vectors[rows]
                corrected[rows] = own - part if part.ndim == 1 else own - (own @ part.T) @ part
        corrected = _normalise(corrected, vectors)
        return corrected if self.hubs is None else self.hubs.widened(corrected, role)

    @property
    def fingerprint(self) -> str:
        """Hash that is equal for corrections that do the same; `for_queries` does not change it."""
        known: dict[str, Any] = {"method": self.method, "settings": self.settings, "parts": sorted(self.parts)}
        if self.hubs is not None:
            known |= {"bank": list(self.hubs.bank), "usual": self.hubs.usual}
        found = hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16)
        for _, part in sorted(self.parts.items()):
            found.update(np.ascontiguousarray(part, np.float32).tobytes())
        return found.hexdigest()

    def for_queries(self) -> Debias:
        """Return a copy for queries only, without the megabytes of queries that passages are measured against."""
        if self.hubs is None:
            return self
        return replace(self, hubs=replace(self.hubs, bank={lang: rows[:0] for lang, rows in self.hubs.bank.items()}))

    def save(self, path: Path | str) -> None:
        """Write one `.npz` file, atomically."""
        keys = sorted(self.parts)
        about: dict[str, Any] = {
            "isoglot_debias": WITH_HUBS if self.hubs else FORMAT,
            "method": self.method,
            "model": self.model,
            "settings": self.settings,
            "fitted": self.fitted,
            "parts": keys,
        }
        arrays: dict[str, NDArray[Any]] = {f"part{number}": self.parts[key] for number, key in enumerate(keys)}
        if self.hubs is not None:
            about |= {"bank": list(self.hubs.bank), "usual": self.hubs.usual}
            arrays |= {f"bank{number}": rows for number, rows in enumerate(self.hubs.bank.values())}
        with atomic_write(Path(path)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, about=np.array(json.dumps(about, ensure_ascii=False)), allow_pickle=False, **arrays)

    def _part(self, role: str, lang: str) -> Vectors | None:
        if not self.parts or (self.method == "shift" and role == "query"):
            return None
        other = "passage" if role == "query" else "query"
        base = lang.replace("_", "-").split("-")[0]
        for key in ((role, lang), (other, lang), (role, base), (other, base), (role, UNKNOWN), (other, UNKNOWN)):
            if key in self.parts:
                return self.parts[key]
        return None


def load_debias(path: Path | str) -> Debias:
    """Load a saved correction.

    Raises:
        InputError: no such file, not a correction, or a newer format.
    """
    remedy = "fit one with `isoglot debias fit`"
    check_kind("debias", path, (str, Path), "the file of a correction, as text or a path")
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["isoglot_debias"] not in (1, FORMAT, WITH_HUBS):
                raise InputError(
                    f"{path}: format {about['isoglot_debias']}, this isoglot reads {WITH_HUBS}; {remedy} or update "
                    "isoglot"
                )
            parts: dict[tuple[str, str], Vectors] = {
                (_role(role), known_code(str(lang)) or str(lang)): arrays[f"part{number}"].astype(np.float32)
                for number, (role, lang) in enumerate(about["parts"])
            }
            fitted = {":".join((_role(role), lang)): count for role, lang, count in _split(about["fitted"])}
            bank = {lang: arrays[f"bank{number}"] for number, lang in enumerate(about.get("bank", ()))}
            settings = about["settings"]
            held = Hubs(bank, settings["neighbours"], settings["strength"], about["usual"]) if bank else None
            numbers = [*parts.values(), *bank.values(), np.float64(about.get("usual", 0.0))]
            if not all(np.isfinite(array).all() for array in numbers):
                raise InputError(f"{path}: holds NaN or infinity; {remedy}")
            return Debias(about["method"], parts, about["model"], settings, fitted, held)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {remedy}") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a saved correction ({error}); {remedy}") from error


def _role(name: str) -> Role:
    return "query" if name == "query" else "passage"


def _split(fitted: dict[str, int]) -> list[tuple[str, str, int]]:
    return [(*key.split(":", 1), count) for key, count in fitted.items()]  # type: ignore[misc]


def codes_of(langs: Langs) -> NDArray[np.str_]:
    """Return language codes normalised as in corrections, from any spelling."""
    return np.asarray([known_code(str(lang)) or str(lang) for lang in langs], dtype=str)


def checked(vectors: Vectors, langs: Langs) -> Vectors:
    """Return vectors (n, d) as float32, after checking that each has a language.

    Raises:
        InputError: another shape, a single string as `langs`, or numbers that are not finite.
    """
    if isinstance(langs, str):
        raise InputError(f"langs: given as one text, {langs!r}; expected a language for each vector")
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(langs) != len(vectors):
        raise InputError(f"vectors are {vectors.shape} with {len(langs)} languages; expected (n, d) and n")
    if not np.isfinite(vectors).all():
        raise InputError("a vector holds NaN or infinity; encode again")
    return vectors


def _normalise(vectors: Vectors, before: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-6), before)
    return unit
