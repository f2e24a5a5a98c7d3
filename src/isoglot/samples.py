"""Vectors to fit a correction on: from parallel rows, plain text files, or vectors already encoded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isoglot.data.prepare import Prepared
from isoglot.debias import Debias, Role, Sample, Vectors
from isoglot.encode import encode
from isoglot.errors import InputError
from isoglot.files import atomic_write

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LIMIT = 2000
_COLUMNS = ("id", "lang", "role", "vector")


def from_rows(
    model: SentenceTransformer,
    rows: Prepared,
    *,
    limit: int = LIMIT,
    seed: int = 0,
    length: int | None = None,
    precision: str = "auto",
) -> list[Sample]:
    """Encode queries and passages of at most `limit` groups of parallel rows (the same ones in all languages).

    Args:
        model: the encoder.
        rows: prepared rows.
        limit: groups to draw.
        seed: of the draw.
        length: tokens kept.
        precision: as for `encode`.
    """
    table = rows.table
    groups = np.asarray(table.group)
    names = np.unique(groups)
    chosen = np.sort(np.random.default_rng(seed).choice(names, min(limit, len(names)), replace=False))
    keep = np.flatnonzero(np.isin(groups, chosen))
    langs = np.array(table.languages)[np.asarray(table.lang)[keep]]
    passages = rows.passages()
    texts: tuple[tuple[Role, list[str]], ...] = (
        ("query", rows.column("query", keep)),
        ("document", [passages[row] for row in keep]),
    )
    return [
        Sample(
            encode(model, own, role, length=length, precision=precision, what=f"{role} texts to fit on").vectors,
            langs,
            role,
            [str(group) for group in groups[keep]],
        )
        for role, own in texts
    ]


def from_texts(
    model: SentenceTransformer,
    files: Mapping[str, Path],
    *,
    limit: int = LIMIT,
    seed: int = 0,
    length: int | None = None,
    precision: str = "auto",
) -> list[Sample]:
    """Encode the lines of one UTF-8 text file a language, as passages; at most `limit` lines of each.

    Raises:
        InputError: a file that is missing, empty or not UTF-8.
    """
    texts: list[str] = []
    langs: list[str] = []
    for lang, path in files.items():
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; --texts wants LANG=FILE, one text a line") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 (byte {error.start})") from error
        if not lines:
            raise InputError(f"{path}: holds no text; expected one text a line")
        drawn = np.random.default_rng(seed).permutation(len(lines))[:limit]
        texts += [lines[number] for number in np.sort(drawn)]
        langs += [lang] * len(drawn)
    encoded = encode(model, texts, "document", length=length, precision=precision, what="texts to fit on")
    return [Sample(encoded.vectors, langs, "document")]


def from_vectors(path: Path) -> list[Sample]:
    """Read vectors (Parquet with `id`, `lang`, `role`, `vector`), as two samples.

    Raises:
        InputError: not such a file.
    """
    langs, roles, vectors = _read_vectors(path)[1:]
    names: tuple[tuple[str, Role], ...] = (("query", "query"), ("passage", "document"))
    return [Sample(vectors[roles == name], langs[roles == name], role) for name, role in names if (roles == name).any()]


def correct_vectors(path: Path, debias: Debias, output: Path) -> int:
    """Apply a correction to a vectors file; returns how many vectors.

    Raises:
        InputError: not a vectors file, or another dimension.
    """
    table, langs, roles, vectors = _read_vectors(path)
    corrected = vectors.copy()
    names: tuple[tuple[str, Role], ...] = (("query", "query"), ("passage", "document"))
    for name, role in names:
        rows = roles == name
        if rows.any():
            corrected[rows] = debias.apply(vectors[rows], langs[rows], role)
    field = table.schema.field("vector")
    width = pa.types.is_float16(field.type.value_type)
    flat = pa.array(corrected.ravel().astype(np.float16 if width else np.float32))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]).cast(field.type)
    with atomic_write(output) as temporary:
        pq.write_table(table.set_column(table.schema.get_field_index("vector"), field, column), temporary)
    return len(corrected)


def _read_vectors(path: Path) -> tuple[pa.Table, NDArray[np.str_], NDArray[np.str_], Vectors]:
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; make one with `isoglot encode`") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing or not len(table):
        seen = f"no column {', '.join(missing)}" if missing else "no rows"
        raise InputError(f"{path}: {seen}; expected vectors with {', '.join(_COLUMNS)}, as `isoglot encode` writes")
    flat = pc.list_flatten(table.column("vector")).to_numpy()
    if len(flat) % len(table):
        raise InputError(f"{path}: vectors of different lengths")
    vectors = np.asarray(flat, np.float32).reshape(len(table), -1)
    langs, roles = (np.array(table.column(name).to_pylist(), dtype=str) for name in ("lang", "role"))
    odd = sorted(set(roles.tolist()) - {"query", "passage"})
    if odd:
        raise InputError(f"{path}: role {odd[0]!r}; expected query or passage")
    return table, langs, roles, vectors
