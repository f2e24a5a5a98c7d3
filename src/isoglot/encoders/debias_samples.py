"""Vectors to fit a correction on: from parallel rows, plain text files, or encoded vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from isoglot.core.errors import InputError
from isoglot.data.prepared import Prepared
from isoglot.encoders.debias import Debias, Sample
from isoglot.encoders.embedder import Model, Role, Vectors
from isoglot.encoders.encoding import encode
from isoglot.encoders.vector_files import Shard, read_shards, unit_vectors, vector_files, write_shard

LIMIT = 2000
_ROLES: tuple[Role, ...] = ("query", "passage")


def from_rows(
    model: Model,
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
        limit: groups to sample.
        seed: of the sampling.
        length: maximum tokens per text.
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
        ("passage", [passages[row] for row in keep]),
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


def from_texts(model: Model, files: Mapping[str, Path], *, limit: int = LIMIT, seed: int = 0) -> list[Sample]:
    """Encode the lines of one UTF-8 text file per language, as passages; at most `limit` lines of each.

    Raises:
        InputError: a file that is missing, unreadable, empty or not UTF-8.
    """
    texts: list[str] = []
    langs: list[str] = []
    for lang, path in files.items():
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; `texts` expects LANG=FILE, one text per line") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 (byte {error.start})") from error
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror or error}; `texts` expects LANG=FILE, one text per line"
            ) from error
        if not lines:
            raise InputError(f"{path}: holds no text; expected one text per line")
        drawn = np.random.default_rng(seed).permutation(len(lines))[:limit]
        texts += [lines[number] for number in np.sort(drawn)]
        langs += [lang] * len(drawn)
    encoded = encode(model, texts, "passage", what="texts to fit on")
    return [Sample(encoded.vectors, langs, "passage")]


def from_vectors(place: Path) -> list[Sample]:
    """Read vectors with their languages and roles (written by `isoglot encode`, or a Parquet file), as two samples.

    Raises:
        InputError: not such vectors.
    """
    shards = list(_shards(place))
    langs = np.array([lang for shard in shards for lang in shard.langs])
    roles = np.array([role for shard in shards for role in shard.roles])
    vectors = np.concatenate([unit_vectors(shard) for shard in shards])
    return [Sample(vectors[roles == role], langs[roles == role], role) for role in _ROLES if (roles == role).any()]


def correct_vectors(place: Path, debias: Debias, output: Path) -> int:
    """Apply a correction to vectors and write them to one Parquet file; return their number.

    Raises:
        InputError: not such vectors, or another dimension.
    """
    ids: list[str] = []
    langs: list[str] = []
    roles: list[str] = []
    blocks: list[Vectors] = []
    for shard in _shards(place):
        named = np.array(shard.langs), np.array(shard.roles)
        vectors = unit_vectors(shard)
        corrected = np.empty((len(vectors), debias.width), np.float32)
        for role in _ROLES:
            rows = named[1] == role
            if rows.any():
                corrected[rows] = debias.apply(vectors[rows], named[0][rows], role)
        ids += shard.ids
        langs += shard.langs
        roles += shard.roles
        blocks.append(corrected)
    kind = pq.read_schema(vector_files(place)[0]).field("vector").type.value_type
    write_shard(output, ids, langs, roles, np.concatenate(blocks).astype(kind.to_pandas_dtype()))
    return len(ids)


def _shards(place: Path) -> Iterator[Shard]:
    """Yield vectors file by file, each with its language and role."""
    for shard in read_shards(place):
        if not all(shard.langs) or not all(shard.roles):
            raise InputError(f"{shard.path}: vectors without lang or role; expected columns id, lang, role, vector")
        odd = sorted(set(shard.roles) - set(_ROLES))
        if odd:
            raise InputError(f"{shard.path}: role {odd[0]!r}; expected query or passage")
        yield shard
