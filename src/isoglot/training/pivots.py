"""A teacher's vectors of all texts in the pivot language, computed once and cached by content in the rows' folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_folder
from isoglot.data.big_arrays import Ints
from isoglot.data.prepared import Prepared
from isoglot.encoders.embedder import Role
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load, preset_of, prompt_of
from isoglot.encoders.model_names import locate
from isoglot.training.facts import weights_checksum
from isoglot.training.losses.batch import Pivots
from isoglot.training.settings import TrainSettings

_MOST = 4096  # pivot texts that a batch is compared with, at most
_PART = 8192  # texts encoded at a time


@dataclass(frozen=True, eq=False)
class PivotVectors:
    """Unit vectors of the pivot versions of rows.

    Attributes:
        queries, passages: (pivots, d) float32, memory-mapped.
        identity: (pivots,) passage component of each pivot.
        place: (rows,) index of each row's pivot version, -1 if its group has none.
        most: number of pivots that a batch is compared with, at most.
    """

    queries: NDArray[np.float32]
    passages: NDArray[np.float32]
    identity: NDArray[np.int64]
    place: NDArray[np.int64]
    most: int = _MOST

    def of(self, asked: NDArray[np.int64], answers: NDArray[np.int64]) -> Pivots:
        """Return the pivots that a batch of these query rows and passage rows is compared with.

        All pivots if there are at most `most`, otherwise the batch's own and others drawn at random, seeded by the
        query rows, so that the same batch gets the same pivots.
        """
        own_queries, own_passages = self.place[asked], self.place[answers]
        chosen = np.arange(len(self.identity))
        if len(chosen) > self.most:
            own = np.unique(np.concatenate([own_queries, own_passages]))
            others = np.random.default_rng(asked).integers(0, len(chosen), max(0, self.most - len(own)))
            chosen = np.union1d(own[own >= 0], others)

        def among(own: NDArray[np.int64]) -> torch.Tensor:
            return torch.from_numpy(np.where(own >= 0, np.searchsorted(chosen, own), -1))

        return Pivots(
            torch.from_numpy(self.queries[chosen]),
            torch.from_numpy(self.passages[chosen]),
            torch.from_numpy(self.identity[chosen]),
            among(own_queries),
            among(own_passages),
        )


def require_teacher(name: str, wanted: bool) -> None:
    """Check early that the teacher exists and that a loss uses it.

    Args:
        name: name of the teacher.
        wanted: whether a loss uses it.

    Raises:
        InputError: there is no such model, or no loss uses it.
    """
    if not wanted:
        raise InputError(f"align_teacher {name}: no loss uses a teacher; add one, such as `loss` align=1")
    locate(name, what="align_teacher")


def run_pivots(
    model: SentenceTransformer, rows: Prepared, settings: TrainSettings, scratch: Path, numbers: Ints | None
) -> PivotVectors:
    """Return the pivot vectors of a run, from the teacher in the settings or else from the model in its current state.

    Raises:
        InputError: as for `pivot_vectors`; or there is no such teacher, or its vectors have another dimension.
    """
    name = settings.align_teacher
    teacher = model if name is None else load(name, device=str(model.device))
    with model.truncate_embeddings(None):  # training uses full vectors, even if later truncated
        pivots = pivot_vectors(teacher, rows, settings, scratch, numbers)
        width, wanted = pivots.queries.shape[1], model.get_embedding_dimension()
    if width != wanted:
        raise InputError(f"align_teacher {name}: its vectors have {width} dimensions, those of the model {wanted}")
    return pivots


def pivot_vectors(
    teacher: SentenceTransformer,
    rows: Prepared,
    settings: TrainSettings,
    scratch: Path,
    numbers: Ints | None = None,
) -> PivotVectors:
    """Encode the pivot versions of rows, or open the vectors cached by an earlier run with the same teacher and rows.

    Args:
        teacher: encodes queries and passages in the pivot language.
        rows: prepared rows.
        settings: settings of the run, for the pivot language and the lengths.
        scratch: folder for the vectors if only some rows are drawn, or if the folder of the rows is read-only.
        numbers: numbers of the rows that are drawn, ascending; all when None.

    Raises:
        InputError: no group that is drawn has a version in the pivot language.
    """
    table, pivot = rows.table, settings.sampling.pivot
    if pivot not in table.languages:
        raise InputError(
            f"the alignment losses need the pivot language {pivot!r}, but the rows are in "
            f"{', '.join(table.languages)}; choose one of these as the pivot, or leave the losses out"
        )
    drawn = np.arange(len(table)) if numbers is None else np.asarray(numbers)
    groups = np.unique(table.group[drawn])
    found = table.rows_of_groups(groups, table.languages.index(pivot))
    # Sort by row number, so that rows are read in order.
    groups = groups[np.argsort(found)][np.count_nonzero(found < 0) :]
    found = np.sort(found[found >= 0])
    if not len(found):
        raise InputError(
            f"the alignment losses: no group of the training rows has a version in the pivot language {pivot!r}"
        )
    at = np.full(table.groups, -1, dtype=np.int64)
    at[groups] = np.arange(len(groups))
    home = rows.folder / "pivots" if numbers is None and os.access(rows.folder, os.W_OK) else scratch
    preset = preset_of(teacher)
    lengths = (settings.query_length or preset.query_length, settings.passage_length or preset.passage_length)
    folder = home / _key(teacher, rows, found, lengths, settings.precision)
    if not folder.is_dir():
        with atomic_folder(folder, replaces=False) as temporary:
            sides: tuple[tuple[Role, Iterable[list[str]], int], ...] = (
                ("query", rows.query_blocks(found), lengths[0]),
                ("passage", rows.passage_blocks(found), lengths[1]),
            )
            for role, blocks, length in sides:
                _write(temporary / f"{role}.npy", teacher, blocks, len(found), role, length, settings.precision)
    queries, passages = (np.load(folder / f"{role}.npy", mmap_mode="r") for role in ("query", "passage"))
    return PivotVectors(queries, passages, np.asarray(table.component[found], dtype=np.int64), at[table.group])


def _write(
    path: Path,
    teacher: SentenceTransformer,
    blocks: Iterable[list[str]],
    count: int,
    role: Role,
    length: int,
    precision: str,
) -> None:
    limit = min(length, teacher.max_seq_length or length)
    vectors = None
    done = 0
    for texts in _parts(text for block in blocks for text in block):
        part = encode(teacher, texts, role, length=limit, precision=precision, what=f"pivot {role} texts").vectors
        if vectors is None:
            vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, part.shape[1]))
        vectors[done : done + len(part)] = part
        done += len(part)
    if vectors is not None:
        vectors.flush()


def _parts(texts: Iterator[str]) -> Iterator[list[str]]:
    while part := list(islice(texts, _PART)):
        yield part


def _key(teacher: SentenceTransformer, rows: Prepared, found: Ints, lengths: tuple[int, int], precision: str) -> str:
    prompts = [prompt_of(teacher, "query"), prompt_of(teacher, "passage")]
    facts = (weights_checksum(teacher), rows.checksum, lengths, prompts, precision)
    kept = () if teacher.truncate_dim is None else (teacher.truncate_dim,)
    digest = hashlib.blake2b(repr((*facts, *kept)).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(found, dtype=np.int64).data)
    return digest.hexdigest()
