"""A benchmark scored by late interaction: every query's tokens against every candidate's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.embedder import Encoder, Vectors
from isoglot.encoders.late_interaction import late_scores, mixed
from isoglot.encoders.token_vectors import with_tokens
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.ranks import BLOCK_BYTES, score_blocks

MOST = 8 * 2**30  # bytes of scores
_CHUNK = 4096  # candidates whose tokens are in memory at a time


def late_matrix(
    encoder: Encoder, benchmark: Benchmark, queries: Vectors, candidates: Vectors, *, drawn: bool = False
) -> Vectors:
    """Cosines and late interaction, mixed: float32 (queries, candidates).

    Equal texts get equal scores.

    Args:
        encoder: opened here, over tokens.
        benchmark: whose texts are compared.
        queries: (queries, d), unit vectors of whole texts, corrected or drawn to passages where that is wanted.
        candidates: (candidates, d), likewise.
        drawn: as in `late_interaction.mixed`.

    Raises:
        InputError: an encoder that gives vectors of whole texts only, or more scores than 8 GiB.
    """
    model, texts = with_tokens(encoder), benchmark.candidates.texts
    size = 4 * len(queries) * len(candidates)
    if size > MOST:
        raise InputError(
            f"late interaction would compare each of {len(queries):,} queries with each of {len(candidates):,} "
            f"candidates, {size / 2**30:.0f} GiB of scores; make an index, and have the best of its searches re-ranked "
            "by late interaction"
        )
    asked = model.encoded_tokens(benchmark.queries.texts, "query", what="tokens of queries")
    distinct, place = np.unique(np.array(texts, dtype=object), return_inverse=True)
    late = np.empty((len(queries), len(distinct)), np.float32)
    with Progress("comparing tokens", len(distinct)) as progress:
        for start in range(0, len(distinct), _CHUNK):
            some = distinct[start : start + _CHUNK].tolist()
            held = model.encoded_tokens(some, "passage", what="tokens of passages")
            late[:, start : start + len(some)] = late_scores(asked, held)
            progress.advance(len(some))
    scores = np.empty((len(queries), len(candidates)), np.float32)
    for start, cosines in score_blocks(queries, candidates, BLOCK_BYTES):
        own = slice(start, start + len(cosines))
        scores[own] = mixed(cosines, late[own][:, place], drawn=drawn)
    return scores


def noted_late(result: Evaluation) -> Evaluation:
    """The result with a note that tokens were compared."""
    note = (
        "late interaction: scores are cosines of whole texts mixed with those of tokens, each of the query's with the "
        "nearest of the passage's"
    )
    return replace(result, notes=(*result.notes, note))
