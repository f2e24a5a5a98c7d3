"""Resolve the arguments of `evaluate`: benchmarks given by name or path, and precomputed vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.named import load_benchmark
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.functions import unit_rows
from isoglot.encoders.vector_files import COMPLETE, gather

Side: TypeAlias = ArrayLike | Mapping[str, ArrayLike]
"""Vectors of queries or passages: an array (n, d) in the order of the benchmark's ids, or a mapping from id to (d,)."""

VectorPair: TypeAlias = tuple[Side, Side] | Mapping[Literal["queries", "passages"], Side]
"""Vectors in memory: `(queries, passages)`, or a dict with these two keys."""

_OF_MODELS = ("modules.json", "config.json", "adapter_config.json")


def opened_benchmark(
    benchmark: Benchmark | str | Path,
    data_dir: Path | str | None = None,
    langs: str | Sequence[str] | None = None,
) -> Benchmark:
    """Return a benchmark unchanged, or open it by name or path.

    Args:
        benchmark: queries, candidates and relevance, or what `load_benchmark` opens.
        data_dir: as in `load_benchmark`.
        langs: as in `load_benchmark`.

    Raises:
        InputError: `benchmark` is of another type, `data_dir` or `langs` is given for a benchmark that is already
            open, or as in `load_benchmark`.
    """
    if isinstance(benchmark, str | Path):
        return load_benchmark(benchmark, data_dir, langs)
    if callable(getattr(benchmark, "benchmark", None)):  # a StreamedCorpus
        raise InputError("benchmark: its passages are streamed; give benchmark.benchmark(), which reads them")
    if not isinstance(benchmark, Benchmark):
        raise InputError(
            f"benchmark: given as {type(benchmark).__name__}; expected a Benchmark, or what load_benchmark opens: a "
            "name such as 'xquad-r', or a path"
        )
    for name, value in (("data_dir", data_dir), ("langs", langs)):
        if value is not None:
            raise InputError(f"{name} {str(value)!r}: {benchmark.name} is open already; give it to load_benchmark")
    return benchmark


def is_pair(given: object) -> TypeGuard[VectorPair]:
    """Whether a model argument is in fact vectors in memory; anything callable is a model."""
    return isinstance(given, Mapping | tuple | list) and not callable(given)


def holds_vectors(place: Path) -> bool:
    """Whether a path is a file of vectors, or a folder of such files that is not a model folder."""
    if place.is_file():
        return place.suffix in (".parquet", ".npy")
    if not place.is_dir() or any((place / name).is_file() for name in _OF_MODELS):
        return False
    return any(any(place.glob(form)) for form in (COMPLETE, "*.parquet", "*.npy"))


def given_vectors(given: Path | VectorPair, benchmark: Benchmark) -> tuple[Vectors, Vectors]:
    """Unit vectors of a benchmark's queries and candidates, float32 (n, d) each, from disk or from memory.

    Args:
        given: a file or folder of vectors by id (see `vector_files.gather`), or both sides in memory.
        benchmark: the benchmark whose texts were encoded.

    Raises:
        InputError: vectors are missing, their number is not that of the texts, their dimensions differ between queries
            and passages, or a vector is not finite or all zero.
    """
    if isinstance(given, Path):
        return gather(given, benchmark.queries.ids, benchmark.candidates.ids)
    queries, passages = _sides(given)
    found = _side("queries", queries, benchmark.queries.ids), _side("passages", passages, benchmark.candidates.ids)
    dimensions = tuple(side.shape[1] for side in found)
    if dimensions[0] != dimensions[1]:
        raise InputError(
            f"vectors: queries have {dimensions[0]} dimensions, passages {dimensions[1]}; expected the same"
        )
    return found


def _sides(given: VectorPair) -> tuple[Side, Side]:
    expected = "expected (queries, passages), or a dict with 'queries' and 'passages'"
    if isinstance(given, Mapping):
        if set(given) != {"queries", "passages"}:
            names = ", ".join(map(repr, list(given)[:3])) or "nothing"
            raise InputError(f"vectors: a dict with {names}{', ...' if len(given) > 3 else ''}; {expected}")
        return given["queries"], given["passages"]
    if not isinstance(given, Sequence) or len(given) != 2:
        raise InputError(f"vectors: a {type(given).__name__} of {len(given)}; {expected}")
    return given[0], given[1]


def _side(what: str, given: Any, ids: list[str]) -> Vectors:
    """Unit vectors of one side, in the order of `ids`."""
    if isinstance(given, Mapping):
        missing = [key for key in ids if key not in given]
        if missing:
            named = ", ".join(map(repr, missing[:3]))
            raise InputError(f"vectors of {what}: none for {len(missing)} of {len(ids)} ids, such as {named}")
        given = [np.asarray(given[key]) for key in ids]
    return unit_rows(given, ids, f"vectors of {what}")
