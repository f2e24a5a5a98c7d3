"""Fit corrections (`encoders/debias.py`) to vectors of known languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_number, check_whole
from isoglot.core.errors import InputError
from isoglot.encoders.debias import METHODS, UNKNOWN, Debias, Sample, checked, codes_of
from isoglot.encoders.embedder import Vectors, check_role
from isoglot.encoders.hubness import hubs
from isoglot.languages.codes import known_code


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
        InputError: rank is not from 1 to the dimension minus one, or a language has fewer texts than that.
    """
    check_whole("rank", rank, 1)
    parts = {}
    for (role, lang), rows in _by_key(samples).items():
        if rank > min(len(rows), rows.shape[1] - 1):
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
        pivot: the source language, which is not moved.
        strength: a, the share of the mean difference to subtract, 0 to 1.
        model: for the record.

    Raises:
        InputError: no groups, no passages in the pivot language, or a strength out of range.
    """
    check_number("strength", strength, "0 to 1", lambda share: 0 <= share <= 1)
    used = [sample for sample in samples if sample.role == "passage"]
    if not used or any(sample.groups is None for sample in used):
        raise InputError("shift needs passages that are translations of one another; fit it on parallel rows")
    pivot = known_code(pivot) or pivot
    vectors = np.concatenate([checked(sample.vectors, sample.langs) for sample in used])
    langs = np.concatenate([codes_of(sample.langs) for sample in used])
    groups = np.concatenate([np.asarray(sample.groups, dtype=str) for sample in used])
    names, group = np.unique(groups, return_inverse=True)
    source, known = _group_means(vectors, langs == pivot, group, len(names))
    if not known.any():
        raise InputError(f"pivot {pivot}: no passage in this language; choose one of {', '.join(np.unique(langs))}")
    parts: dict[tuple[str, str], Vectors] = {}
    fitted: dict[str, int] = {}
    for lang in np.unique(langs):
        own, present = _group_means(vectors, langs == lang, group, len(names))
        both = present & known
        if lang != pivot and both.any():
            parts["passage", str(lang)] = (strength * (own[both] - source[both]).mean(axis=0)).astype(np.float32)
            fitted[f"passage:{lang}"] = int(both.sum())
    if not parts:
        raise InputError(f"pivot {pivot}: no passage in another language is a translation of a pivot passage")
    return Debias("shift", parts, model, {"pivot": pivot, "strength": strength}, fitted)


def csls(
    samples: Sequence[Sample], *, neighbours: int = 20, strength: float = 0.5, centred: bool = False, model: str = ""
) -> Debias:
    """Fit CSLS against queries (`encoders/hubness.py`).

    Args:
        samples: queries at least; passages determine the usual level.
        neighbours: number of nearest queries per language whose cosines are averaged.
        strength: share of that mean to subtract, 0 to 1.
        centred: subtract each language's mean first.
        model: for the record.

    Raises:
        InputError: no queries, or a number of neighbours or strength out of range.
    """
    check_whole("neighbours", neighbours, 1)
    check_number("strength", strength, "0 to 1", lambda share: 0 <= share <= 1)
    parts = {}
    if centred:
        first = center(samples)
        parts = first.parts
        samples = [
            sample._replace(vectors=first.apply(sample.vectors, sample.langs, sample.role)) for sample in samples
        ]
    named = _by_key(samples)
    queries = {lang: rows for (role, lang), rows in named.items() if role == "query" and lang != UNKNOWN}
    if not queries:
        raise InputError("csls needs questions of known languages, but there are none; fit it on parallel rows")
    found = hubs(queries, named.get(("passage", UNKNOWN)), neighbours=neighbours, strength=strength)
    settings = {"neighbours": neighbours, "strength": strength}
    return Debias("center+csls" if centred else "csls", parts, model, settings, _sizes(samples), found)


def fit(
    method: str,
    samples: Sequence[Sample],
    *,
    rank: int = 1,
    pivot: str = "en",
    strength: float | None = None,
    neighbours: int = 20,
    model: str = "",
) -> Debias:
    """Fit a correction by name; None as strength means the method's default.

    Raises:
        InputError: an unknown method, or samples that it cannot use.
    """
    if method == "center":
        return center(samples, model=model)
    if method == "lir":
        return lir(samples, rank=rank, model=model)
    if method == "shift":
        return shift(samples, pivot=pivot, strength=0.6 if strength is None else strength, model=model)
    if method in ("csls", "center+csls"):
        strength = 0.5 if strength is None else strength
        centred = method == "center+csls"
        return csls(samples, neighbours=neighbours, strength=strength, centred=centred, model=model)
    raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")


def _by_key(samples: Sequence[Sample]) -> dict[tuple[str, str], Vectors]:
    """Return the vectors by (role, language), and all of a role under `und`."""
    found: dict[tuple[str, str], Vectors] = {}
    for sample in samples:
        check_role(sample.role)
    for role in ("query", "passage"):
        own = [sample for sample in samples if sample.role == role and len(sample.vectors)]
        if not own:
            continue
        vectors = np.concatenate([checked(sample.vectors, sample.langs) for sample in own])
        langs = np.concatenate([codes_of(sample.langs) for sample in own])
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
    """Return the mean vector (groups, d) of each group's kept rows, and which groups have any."""
    sums = np.zeros((groups, vectors.shape[1]))
    np.add.at(sums, group[keep], vectors[keep])
    counts = np.bincount(group[keep], minlength=groups)
    return sums / np.maximum(counts, 1)[:, None], counts > 0
