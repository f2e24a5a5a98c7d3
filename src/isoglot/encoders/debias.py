"""Taking the language out of vectors without training: centring, LIR and SHIFT, each fitted once and kept in a file.

- `center`: x - mean of the language.
- `lir`: x - V V^T x, V the first right singular vectors of the language's vectors (arXiv 2109.04727).
- `shift`: passages not in the pivot language get -a mean(f(text in l) - f(same text in the pivot)), a = 0.6
  (arXiv 2606.18801); queries stay.

Results are unit vectors. Queries and passages are fitted apart where both are given, since encoders with prompts
put them in different places.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.brief import brief
from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.encoders.embedder import Role, Vectors
from isoglot.languages.codes import known_code

Method = Literal["center", "lir", "shift"]
METHODS: tuple[Method, ...] = ("center", "lir", "shift")
FORMAT = 2  # format 1 called passages documents
UNKNOWN = "und"  # stands for every language that was not fitted

Langs = Sequence[str] | NDArray[Any]


class Sample(NamedTuple):
    """Vectors to fit on: (n, d), the language of each, their role, and (for `shift`) which are translations.

    `groups` gives texts that are translations of one another the same name.
    """

    vectors: Vectors
    langs: Langs
    role: Role
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class Debias:
    """A fitted correction.

    Attributes:
        method: `center`, `lir` or `shift`.
        parts: by (role, language), float32: (d,) to subtract, or (r, d) orthonormal rows to project away; the
            language `und` stands for all that are not named.
        model: encoder whose vectors it was fitted on.
        settings: of the fit.
        fitted: texts by `role:language`.
    """

    method: Method
    parts: dict[tuple[str, str], Vectors]
    model: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    fitted: dict[str, int] = field(default_factory=dict)

    __repr__ = brief

    @property
    def dimension(self) -> int:
        """Length of the vectors that it corrects."""
        return int(next(iter(self.parts.values())).shape[-1])

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes that were fitted, alphabetical."""
        return tuple(sorted({lang for _, lang in self.parts} - {UNKNOWN}))

    def apply(self, vectors: Vectors, langs: Langs, role: Role = "passage") -> Vectors:
        """Correct vectors.

        Args:
            vectors: (n, d), unit length.
            langs: language of each; one that was not fitted is treated as the mix of all that were (`shift`: kept).
            role: `query` or `passage`; a role that was not fitted takes the other's (`shift`: queries stay).

        Returns:
            float32 (n, d), unit length; a vector that the correction leaves nothing of stays as it was.

        Raises:
            InputError: another dimension, or not one language a vector.
        """
        vectors = _checked(vectors, langs)
        if vectors.shape[1] != self.dimension:
            raise InputError(
                f"vectors of {vectors.shape[1]} dimensions, but the correction was fitted on {self.dimension} "
                f"({self.model or 'another model'}); fit it again with `isoglot debias fit`"
            )
        codes = np.asarray([known_code(str(lang)) or str(lang) for lang in langs], dtype=str)
        corrected = vectors.copy()
        for lang in np.unique(codes):
            part = self._part(role, str(lang))
            if part is not None:
                rows = codes == lang
                own = vectors[rows]
                corrected[rows] = own - part if part.ndim == 1 else own - (own @ part.T) @ part
        return _normalise(corrected, vectors)

    def save(self, path: Path) -> None:
        """Write one small `.npz` file, atomically."""
        keys = sorted(self.parts)
        about = {
            "isoglot_debias": FORMAT,
            "method": self.method,
            "model": self.model,
            "settings": self.settings,
            "fitted": self.fitted,
            "parts": keys,
        }
        arrays = {f"part{number}": self.parts[key] for number, key in enumerate(keys)}
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, about=np.array(json.dumps(about, ensure_ascii=False)), allow_pickle=False, **arrays)

    def _part(self, role: str, lang: str) -> Vectors | None:
        if self.method == "shift" and role == "query":
            return None
        other = "passage" if role == "query" else "query"
        base = lang.replace("_", "-").split("-")[0]
        for key in ((role, lang), (other, lang), (role, base), (other, base), (role, UNKNOWN), (other, UNKNOWN)):
            if key in self.parts:
                return self.parts[key]
        return None


def load_debias(path: Path) -> Debias:
    """Read a saved correction.

    Raises:
        InputError: no such file, not a correction, or of a newer format.
    """
    remedy = "fit one with `isoglot debias fit`"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["isoglot_debias"] not in (1, FORMAT):
                raise InputError(
                    f"{path}: format {about['isoglot_debias']}, this isoglot reads {FORMAT}; {remedy} or update isoglot"
                )
            parts: dict[tuple[str, str], Vectors] = {
                (_role(role), known_code(str(lang)) or str(lang)): arrays[f"part{number}"].astype(np.float32)
                for number, (role, lang) in enumerate(about["parts"])
            }
            fitted = {":".join((_role(role), lang)): count for role, lang, count in _split(about["fitted"])}
            return Debias(about["method"], parts, about["model"], about["settings"], fitted)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {remedy}") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a saved correction ({error}); {remedy}") from error


def _role(name: str) -> Role:
    return "query" if name == "query" else "passage"


def _split(fitted: dict[str, int]) -> list[tuple[str, str, int]]:
    return [(*key.split(":", 1), count) for key, count in fitted.items()]  # type: ignore[misc]


def center(samples: Sequence[Sample], *, model: str = "") -> Debias:
    """Fit centring: the mean of each language.

    >>> x = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    >>> fitted = center([Sample(x, ["de", "de", "en"], "passage")])
    >>> fitted.parts["passage", "de"].tolist()
    [0.5, 0.5]
    """
    parts = {key: rows.mean(axis=0, dtype=np.float64).astype(np.float32) for key, rows in _by_key(samples).items()}
    return Debias("center", parts, model, {}, _sizes(samples))


def lir(samples: Sequence[Sample], *, rank: int = 1, model: str = "") -> Debias:
    """Fit LIR (arXiv 2109.04727): the first `rank` right singular vectors of each language's vectors.

    Raises:
        InputError: rank is not from 1 to the dimension less one, or a language has fewer texts than that.
    """
    parts = {}
    for (role, lang), rows in _by_key(samples).items():
        if not 1 <= rank <= min(len(rows), rows.shape[1] - 1):
            raise InputError(
                f"rank {rank}: expected 1 to {min(len(rows), rows.shape[1] - 1)} "
                f"({lang} has {len(rows)} {role} texts of {rows.shape[1]} dimensions)"
            )
        # The eigenvectors of the (d, d) Gram matrix are the right singular vectors, whatever the number of rows.
        gram = rows.T.astype(np.float64) @ rows.astype(np.float64)
        parts[role, lang] = np.linalg.eigh(gram)[1][:, : -rank - 1 : -1].T.astype(np.float32)
    return Debias("lir", parts, model, {"rank": rank}, _sizes(samples))


def shift(samples: Sequence[Sample], *, pivot: str = "en", strength: float = 0.6, model: str = "") -> Debias:
    """Fit SHIFT (arXiv 2606.18801) on passages that are translations of one another.

    Args:
        samples: with groups; only those of role `passage` are used.
        pivot: the source language, which stays where it is.
        strength: a, the share of the mean difference that is taken away.
        model: for the record.

    Raises:
        InputError: no groups, or nothing in the pivot language to compare with.
    """
    used = [sample for sample in samples if sample.role == "passage"]
    if not used or any(sample.groups is None for sample in used):
        raise InputError("shift wants passages that are translations of one another; fit it on parallel rows")
    pivot = known_code(pivot) or pivot
    vectors = np.concatenate([_checked(sample.vectors, sample.langs) for sample in used])
    langs = np.concatenate([np.asarray(sample.langs, dtype=str) for sample in used])
    groups = np.concatenate([np.asarray(sample.groups, dtype=str) for sample in used])
    names, group = np.unique(groups, return_inverse=True)
    source, known = _group_means(vectors, langs == pivot, group, len(names))
    if not known.any():
        raise InputError(f"pivot {pivot}: no passage in it among {', '.join(np.unique(langs))}; name another")
    parts: dict[tuple[str, str], Vectors] = {}
    fitted: dict[str, int] = {}
    for lang in np.unique(langs):
        own, present = _group_means(vectors, langs == lang, group, len(names))
        both = present & known
        if lang != pivot and both.any():
            parts["passage", str(lang)] = (strength * (own[both] - source[both]).mean(axis=0)).astype(np.float32)
            fitted[f"passage:{lang}"] = int(both.sum())
    if not parts:
        raise InputError(f"pivot {pivot}: no passage in another language is a translation of one in it")
    return Debias("shift", parts, model, {"pivot": pivot, "strength": strength}, fitted)


def fit(
    method: str,
    samples: Sequence[Sample],
    *,
    rank: int = 1,
    pivot: str = "en",
    strength: float = 0.6,
    model: str = "",
) -> Debias:
    """Fit a correction by name.

    Raises:
        InputError: an unknown method, or samples that it cannot use.
    """
    if method == "center":
        return center(samples, model=model)
    if method == "lir":
        return lir(samples, rank=rank, model=model)
    if method == "shift":
        return shift(samples, pivot=pivot, strength=strength, model=model)
    raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")


def _by_key(samples: Sequence[Sample]) -> dict[tuple[str, str], Vectors]:
    """Vectors by (role, language), and all of a role together under `und`."""
    found: dict[tuple[str, str], Vectors] = {}
    odd = next((sample.role for sample in samples if sample.role not in ("query", "passage")), None)
    if odd is not None:
        raise InputError(f"role {odd!r}: expected query or passage")
    for role in ("query", "passage"):
        own = [sample for sample in samples if sample.role == role and len(sample.vectors)]
        if not own:
            continue
        vectors = np.concatenate([_checked(sample.vectors, sample.langs) for sample in own])
        langs = np.concatenate([np.asarray(sample.langs, dtype=str) for sample in own])
        for lang in np.unique(langs):
            found[role, str(lang)] = vectors[langs == lang]
        found[role, UNKNOWN] = vectors
    if not found:
        raise InputError("there are no vectors to fit on")
    return found


def _sizes(samples: Sequence[Sample]) -> dict[str, int]:
    return {f"{role}:{lang}": len(rows) for (role, lang), rows in _by_key(samples).items() if lang != UNKNOWN}


def _group_means(
    vectors: Vectors, keep: NDArray[np.bool_], group: NDArray[np.int64], groups: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean vector (groups, d) of each group's kept rows, and which groups have any."""
    sums = np.zeros((groups, vectors.shape[1]))
    np.add.at(sums, group[keep], vectors[keep])
    counts = np.bincount(group[keep], minlength=groups)
    return sums / np.maximum(counts, 1)[:, None], counts > 0


def _checked(vectors: Vectors, langs: Langs) -> Vectors:
    if vectors.ndim != 2 or len(langs) != len(vectors):
        raise InputError(f"vectors are {vectors.shape} with {len(langs)} languages; expected (n, d) and n")
    vectors = np.asarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        raise InputError("a vector holds NaN or infinity; encode anew")
    return vectors


def _normalise(vectors: Vectors, before: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-6), before)
    return unit
