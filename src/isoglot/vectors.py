"""Vectors on disk: Parquet shards (`id, lang, role, vector`), or a NumPy array with a file of ids beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isoglot.errors import InputError
from isoglot.files import atomic_write, read_json

Floats = NDArray[np.float32]
Role = Literal["query", "passage"]
COMPLETE = "complete.json"


class Shard(NamedTuple):
    """Vectors of one file: ids, languages, roles (empty text where the file does not say), float32 (n, d)."""

    path: Path
    ids: list[str]
    langs: list[str]
    roles: list[str]
    vectors: Floats


def write_shard(
    path: Path,
    ids: Sequence[str],
    langs: Sequence[str],
    roles: Sequence[str],
    vectors: NDArray[Any],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write one Parquet file of vectors atomically; float16 or float32 as they come."""
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
        pq.write_table(table.replace_schema_metadata(metadata or {}), temporary, compression="none")


def vector_files(place: Path) -> list[Path]:
    """The files of a vectors folder, or the one file.

    Raises:
        InputError: nothing there, or a folder whose encoding did not finish.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"--vectors {place}: no such file or folder; isoglot encode writes one")
    files = sorted(place.glob("*.parquet")) or sorted(place.glob("*.npy"))
    if not files:
        raise InputError(f"--vectors {place}: holds no .parquet and no .npy file")
    shards = [path for path in files if path.name.startswith("shard-")]
    if shards:
        if not (place / COMPLETE).is_file():
            raise InputError(f"--vectors {place}: encoding did not finish; run isoglot encode with --resume")
        wanted = read_json(place / COMPLETE)["shards"]
        if len(shards) != wanted:
            raise InputError(f"--vectors {place}: {len(shards)} shards, but {wanted} were written; encode again")
    return files


def read_shards(place: Path) -> Iterator[Shard]:
    """Yield the vectors of a file or folder, file by file.

    Raises:
        InputError: unreadable, without the columns, of several dimensions, or not as many ids as vectors.
    """
    dimension: int | None = None
    for path in vector_files(place):
        shard = _numpy(path) if path.suffix == ".npy" else _parquet(path)
        if dimension is not None and shard.vectors.shape[1] != dimension:
            raise InputError(f"{path}: vectors of {shard.vectors.shape[1]} dimensions after others of {dimension}")
        dimension = shard.vectors.shape[1]
        yield shard


def gather(place: Path, queries: Sequence[str], passages: Sequence[str]) -> tuple[Floats, Floats]:
    """Put vectors in the order of a benchmark's ids; vectors of other ids are left out.

    Args:
        place: a vectors file or folder.
        queries: ids of the queries.
        passages: ids of the passages.

    Returns:
        float32 (queries, d) and (passages, d), unit length.

    Raises:
        InputError: an id given twice, an id missing, NaN, a zero vector, or an id that is query and passage in a
            file without roles.
    """
    where: dict[Role, dict[str, int]] = {
        "query": {key: index for index, key in enumerate(queries)},
        "passage": {key: index for index, key in enumerate(passages)},
    }
    found: dict[Role, Floats] = {}
    filled = {role: np.zeros(len(ids), np.bool_) for role, ids in where.items()}
    for shard in read_shards(place):
        norms = np.linalg.norm(shard.vectors, axis=1)
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            raise InputError(
                f"{shard.path}: the vector of {shard.ids[bad[0]]!r} holds NaN or infinity, or is all zero "
                f"({len(bad)} such); encode anew"
            )
        for row, (key, said) in enumerate(zip(shard.ids, shard.roles, strict=True)):
            role = _role(shard.path, key, said, where)
            index = where[role].get(key) if role else None
            if role is None or index is None:
                continue
            if filled[role][index]:
                raise InputError(f"{shard.path}: {role} id {key!r} is given twice; keep one vector for each id")
            if role not in found:
                found[role] = np.zeros((len(where[role]), shard.vectors.shape[1]), np.float32)
            found[role][index] = shard.vectors[row] / norms[row]
            filled[role][index] = True
    for role, ids in (("query", queries), ("passage", passages)):
        missing = np.flatnonzero(~filled[role])  # type: ignore[index]
        if len(missing):
            raise InputError(
                f"--vectors {place}: no vector for {len(missing)} of {len(ids)} {role} ids "
                f"({', '.join(repr(ids[index]) for index in missing[:3])}); encode this benchmark's texts"
            )
    return found["query"], found["passage"]


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


def _parquet(path: Path) -> Shard:
    try:
        table: Any = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
    missing = [name for name in ("id", "vector") if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; the columns are: {', '.join(table.column_names)}")
    column = table.column("vector").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], table.schema.field("vector").type)
    lengths = set(np.diff(column.offsets.to_numpy()).tolist()) if hasattr(column, "offsets") else set()
    if len(lengths) > 1:
        raise InputError(f"{path}: vectors of several dimensions ({', '.join(map(str, sorted(lengths)[:5]))})")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    if len(flat) % max(1, len(table)) or not len(table):
        raise InputError(f"{path}: {len(flat)} numbers for {len(table)} vectors; expected the same for each")
    blank = [""] * len(table)
    return Shard(
        path,
        list(map(str, table.column("id").to_pylist())),
        table.column("lang").to_pylist() if "lang" in table.column_names else blank,
        table.column("role").to_pylist() if "role" in table.column_names else blank,
        flat.reshape(len(table), -1).astype(np.float32),
    )


def _numpy(path: Path) -> Shard:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable NumPy file ({error})") from error
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise InputError(f"{path}: holds {vectors.dtype} {vectors.shape}; expected floats (vectors, dimensions)")
    names = path.with_suffix(".ids")
    if not names.is_file():
        raise InputError(f"{names}: no such file; give the ids of {path.name}, one a line in the same order")
    ids = names.read_text(encoding="utf-8").splitlines()
    if len(ids) != len(vectors):
        raise InputError(f"{names}: {len(ids)} ids for {len(vectors)} vectors; expected one a line")
    role = {"queries": "query", "passages": "passage"}.get(path.stem, "")
    return Shard(path, ids, [""] * len(ids), [role] * len(ids), vectors.astype(np.float32))
