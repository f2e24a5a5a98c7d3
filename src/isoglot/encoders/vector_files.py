"""Vectors on disk: Parquet shards (`id, lang, role, vector`), or a NumPy array with a text file of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write, put_on_disk, read_json
from isoglot.encoders.embedder import Role, Vectors
from isoglot.languages.codes import normal_code

COMPLETE = "complete.json"
PART = 65_536  # vectors of a file in memory at a time


class Shard(NamedTuple):
    """Vectors of a file or of a part of one, float32 (n, d); ids, languages, roles (empty strings where not stated)."""

    path: Path
    ids: list[str]
    langs: list[str]
    roles: list[str]
    vectors: Vectors


def write_shard(
    path: Path,
    ids: Sequence[str],
    langs: Sequence[str],
    roles: Sequence[str],
    vectors: NDArray[Any],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write one Parquet file of vectors atomically and put it on disk; float16 or float32, as given."""
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    table: Any = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "lang": pa.array(langs, pa.string()),
            "role": pa.array(roles, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )
    with atomic_write(path) as temporary:
        # Ids and vector components hardly repeat: a dictionary would cost time and space.
        columns: Any = {"use_dictionary": ["lang", "role"], "write_statistics": ["role"]}
        pq.write_table(table.replace_schema_metadata(metadata or {}), temporary, compression="none", **columns)
        put_on_disk([temporary])


def vector_files(place: Path) -> list[Path]:
    """Return the files of a vectors folder, or the single file.

    Raises:
        InputError: no such path, a folder without vectors, or one whose encoding did not finish.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"vectors {place}: no such file or folder; isoglot encode writes one")
    files = sorted(place.glob("*.parquet")) or sorted(place.glob("*.npy"))
    if not files:
        raise InputError(f"vectors {place}: holds no .parquet and no .npy file")
    shards = [path for path in files if path.name.startswith("shard-")]
    if shards:
        if not (place / COMPLETE).is_file():
            raise InputError(f"vectors {place}: encoding did not finish; run `isoglot encode --resume`")
        facts = read_json(place / COMPLETE)
        wanted = facts.get("shards") if isinstance(facts, dict) else None
        if not isinstance(wanted, int):
            raise InputError(f"{place / COMPLETE}: does not give the number of shards; run `isoglot encode --resume`")
        if len(shards) != wanted:
            raise InputError(f"vectors {place}: {len(shards)} shards, but {wanted} were written; encode again")
    return files


def read_shards(place: Path, *, role: Role | None = None) -> Iterator[Shard]:
    """Yield the vectors of a file or folder, file by file, large files in parts of 65,536 vectors.

    Args:
        place: a vectors file or folder.
        role: skip files whose statistics rule out this role.

    Raises:
        InputError: unreadable, missing columns, mixed dimensions, or ids and vectors that differ in number.
    """
    dimension: int | None = None
    for path in vector_files(place):
        if role is not None and path.suffix != ".npy" and _lacks(path, role):
            continue
        for shard in _numpy(path) if path.suffix == ".npy" else _parquet(path):
            if dimension is not None and shard.vectors.shape[1] != dimension:
                raise InputError(f"{path}: vectors of {shard.vectors.shape[1]} dimensions after others of {dimension}")
            dimension = shard.vectors.shape[1]
            yield shard


def gather(place: Path, queries: Sequence[str], passages: Sequence[str]) -> tuple[Vectors, Vectors]:
    """Return vectors in the order of a benchmark's ids; vectors of other ids are ignored.

    Args:
        place: a vectors file or folder.
        queries: ids of the queries.
        passages: ids of the passages.

    Returns:
        float32 (queries, d) and (passages, d), unit length.

    Raises:
        InputError: a duplicate or missing id, NaN, a zero vector, or an id of both a query and a passage in a file
            without roles.
    """
    where: dict[Role, dict[str, int]] = {
        "query": {key: index for index, key in enumerate(queries)},
        "passage": {key: index for index, key in enumerate(passages)},
    }
    found: dict[Role, Vectors] = {}
    filled = {role: np.zeros(len(ids), np.bool_) for role, ids in where.items()}
    for shard in read_shards(place):
        vectors = unit_vectors(shard)
        for row, (key, said) in enumerate(zip(shard.ids, shard.roles, strict=True)):
            role = _role(shard.path, key, said, where)
            index = where[role].get(key) if role else None
            if role is None or index is None:
                continue
            if filled[role][index]:
                raise InputError(f"{shard.path}: {role} id {key!r} is given twice; keep one vector for each id")
            if role not in found:
                found[role] = np.zeros((len(where[role]), shard.vectors.shape[1]), np.float32)
            found[role][index] = vectors[row]
            filled[role][index] = True
    for role, ids in (("query", queries), ("passage", passages)):
        missing = np.flatnonzero(~filled[role])  # type: ignore[index]
        if len(missing):
            raise InputError(
                f"vectors {place}: no vector for {len(missing)} of {len(ids)} {role} ids "
                f"({', '.join(repr(ids[index]) for index in missing[:3])}); encode this benchmark's texts"
            )
    return found["query"], found["passage"]


def unit_vectors(shard: Shard) -> Vectors:
    """Return a shard's vectors (n, d), scaled to unit length.

    Raises:
        InputError: a vector contains NaN or infinity, or is all zero.
    """
    with np.errstate(over="ignore"):  # reported below
        norms = np.linalg.norm(shard.vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if len(bad):
        raise InputError(
            f"{shard.path}: the vector of {shard.ids[bad[0]]!r} holds NaN or infinity, or is all zero "
            f"({len(bad)} such); encode again"
        )
    found: Vectors = shard.vectors / norms
    return found


def _role(path: Path, key: str, said: str, where: dict[Role, dict[str, int]]) -> Role | None:
    if said in ("query", "passage"):
        return "query" if said == "query" else "passage"
    if said:
        raise InputError(f"{path}: role {said!r} of {key!r}; expected query or passage")
    if key in where["query"] and key in where["passage"]:
        raise InputError(
            f"{path}: {key!r} is a query's and a passage's id; name the files queries.npy and passages.npy"
        )
    return "query" if key in where["query"] else "passage" if key in where["passage"] else None


def _lacks(path: Path, role: Role) -> bool:
    """Return whether a Parquet file's statistics rule out that it holds a role."""
    try:
        facts: Any = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
    if "role" not in facts.schema.names:
        return False
    column = facts.schema.names.index("role")
    known = [facts.row_group(number).column(column).statistics for number in range(facts.num_row_groups)]
    return all(
        part is not None and part.has_min_max and isinstance(part.min, str) and not part.min <= role <= part.max
        for part in known
    )


def _parquet(path: Path) -> Iterator[Shard]:
    try:
        with pq.ParquetFile(path, buffer_size=2**20) as file:
            names = file.schema_arrow.names
            missing = [name for name in ("id", "vector") if name not in names]
            if missing:
                raise InputError(f"{path}: no column {', '.join(missing)}; the columns are: {', '.join(names)}")
            kind: Any = file.schema_arrow.field("vector").type
            if not (_is_list(kind) and _is_number(kind.value_type)):
                raise InputError(f"{path}: column vector is {kind}; expected lists of float16 or float32")
            if not file.metadata.num_rows:
                raise InputError(f"{path}: holds no vectors; encode again, or remove it")
            columns = [name for name in ("id", "lang", "role", "vector") if name in names]
            for batch in file.iter_batches(PART, columns=columns):
                yield _part(path, batch)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error


def _part(path: Path, batch: Any) -> Shard:
    column = batch.column("vector")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if lengths == [None] or lengths == [0]:
        raise InputError(f"{path}: empty vectors; encode again")
    if len(lengths) > 1:
        said = ", ".join("none" if length is None else str(length) for length in lengths[:5])
        raise InputError(f"{path}: vectors of several dimensions ({said}); expected the same for each")
    ids, langs, roles = (
        ["" if value is None else str(value) for value in batch.column(name).to_pylist()]
        if name in batch.schema.names
        else [""] * len(batch)
        for name in ("id", "lang", "role")
    )
    try:
        langs = [code and normal_code(code) for code in langs]
    except InputError as error:
        raise InputError(f"{path}: column lang: {error}") from error
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return Shard(path, ids, langs, roles, flat.reshape(len(batch), -1).astype(np.float32))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _numpy(path: Path) -> Iterator[Shard]:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable NumPy file ({error})") from error
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise InputError(f"{path}: holds {vectors.dtype} {vectors.shape}; expected floats (vectors, dimensions)")
    names = path.with_suffix(".ids")
    if not names.is_file():
        raise InputError(f"{names}: no such file; give the ids of {path.name}, one per line in the same order")
    role = {"queries": "query", "passages": "passage"}.get(path.stem, "")
    try:
        with names.open(encoding="utf-8") as lines:
            count = sum(1 for _ in lines)
            if count != len(vectors):
                raise InputError(f"{names}: {count} ids for {len(vectors)} vectors; expected one per line")
            lines.seek(0)
            for start in range(0, len(vectors), PART):
                part = vectors[start : start + PART].astype(np.float32)
                ids = [line.rstrip("\n") for line in islice(lines, len(part))]
                yield Shard(path, ids, [""] * len(ids), [role] * len(ids), part)
    except UnicodeDecodeError as error:
        raise InputError(f"{names}: not UTF-8 (byte {error.start}: {error.reason})") from error
