"""Evaluate an index on a benchmark: multilingual, monolingual and cross-lingual search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.streamed import StreamedCorpus
from isoglot.documents.document import clean
from isoglot.encoders.embedder import Vectors
from isoglot.measuring.benchmark_vectors import FEEDBACK_NOTE
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.rank_scoring import TOP, score_ranks
from isoglot.measuring.ranks import Floats, GoldRanks
from isoglot.search.hit import Hit
from isoglot.search.query_checks import LARGEST_K, check_feedback, clean_query
from isoglot.search.searcher import Searcher

DEPTH = 100
BATCH = 64


def score_index(
    searcher: Searcher,
    benchmark: Benchmark,
    *,
    depth: int = DEPTH,
    name: str = "index",
    relevant_from: float = 1,
    **how: Any,
) -> Evaluation:
    """Search an index of a benchmark's passages for every query, and score the results.

    The multilingual setting searches the whole index. For the others each query is searched for in each language
    separately: its own is the monolingual setting, the others are the cross-lingual one. A document counts by its first
    passage; of documents with the same text in one language, which the index stores once, the earlier comes first, as
    equal scores do elsewhere.

    A relevant passage that is not among the `depth` best counts as never found, so mAP and MRR are lower bounds; in
    rank distance and Max@R it counts as found at rank `depth` + 1, which makes them lower bounds too, or at the last
    rank of a pool that is no larger than `depth`. A note gives the share of such passages.

    Args:
        searcher: of an index whose documents have the ids of the benchmark's passages (see `passage_documents`).
        benchmark: queries, passages and relevance judgements.
        depth: passages per search, 1 to 1000.
        name: of the index, for reports.
        relevant_from: as in `score_ranks`.
        how: settings of `Searcher.search_many`: mode, fair, quota, rerank, expand, feedback, query_lang. Feedback uses
            the whole index, even when one language is searched.

    Raises:
        InputError: `depth` is out of range, the index has other passages, or as `Searcher.search_many`.

    Example:
        With `folder` as a `pathlib.Path`, and letter counts as an encoder:

        >>> from isoglot import Benchmark, Searcher, build_index
        >>> from isoglot.search import passage_documents, score_index
        >>> def embed(texts, role):
        ...     return [[text.count("e"), text.count("a"), 1] for text in texts]
        >>> benchmark = Benchmark.from_dicts(
        ...     queries={"q1": "Mond", "q2": "luna"},
        ...     passages={"p1": "Der Mond zieht.", "p2": "La luna atrae."},
        ...     qrels={"q1": {"p1": 1, "p2": 1}, "q2": {"p1": 1, "p2": 1}},
        ...     languages={"q1": "de", "p1": "de", "q2": "es", "p2": "es"},
        ... )
        >>> built = build_index(passage_documents(benchmark), folder / "measured", embed)
        >>> result = score_index(Searcher.open(folder / "measured", embed), benchmark, mode="lexical")
        >>> result.macro("monolingual", "map"), result.macro("cross_lingual", "map")
        (1.0, 0.0)
    """
    check_feedback(how.get("feedback", False), how.get("mode", "dense"))  # before all queries are expanded
    if not 1 <= depth <= LARGEST_K:
        raise InputError(f"depth {depth}: expected 1 to {LARGEST_K}, as many passages as a search may list")
    lacking = [code for code in benchmark.languages if code not in searcher.languages()]
    if lacking:
        raise InputError(f"index: no passages in {', '.join(lacking)}, in which {benchmark.name} has some; {_REMEDY}")
    within, pooled, share, top = _searched(searcher, benchmark, depth, how)
    lost = float(np.isinf(pooled).mean()) if len(pooled) else 0.0
    unfound = min(depth + 1, len(benchmark.candidates))
    note = (
        f"a search lists {depth} passages at most; {lost:.1%} of the relevant ones are not among the pool's. mAP and "
        f"MRR count those as never found, rank distance and Max@R as at rank {unfound}"
        + (": lower bounds all" if unfound > depth else ", the last")
    )
    result = score_ranks(
        benchmark,
        GoldRanks(benchmark.gold_offsets, benchmark.gold, within, pooled, 0),
        share,
        name=name,
        depth=depth,
        notes=(note,),
        relevant_from=relevant_from,
        unfound=unfound,
    )
    full = all(len(listed) == len(top[0]) for listed in top) and len(top[0]) == min(TOP, len(benchmark.candidates))
    result = replace(result, top=np.array(top, np.int32) if full else None)
    return result.with_note(FEEDBACK_NOTE) if how.get("feedback") else result


def _searched(
    searcher: Searcher, benchmark: Benchmark, depth: int, how: dict[str, Any]
) -> tuple[Floats, Floats, Floats, list[NDArray[np.int64]]]:
    """Search for every query in the whole index and in each language.

    Returns:
        The ranks of the relevant candidates (in the order of `benchmark.gold`, infinite if not found) in the languages
        of their own and in the whole index; and of each query's best hits in the whole index, the share in its own
        language, and their positions.
    """
    if how.get("expand") is not None:
        how = {**how, "expand": cache(how["expand"])}  # expand once, not for every language
    vectors = _query_vectors(searcher, benchmark, how)
    places = _Places(benchmark)
    gold_lang = benchmark.candidates.lang[benchmark.gold]
    within, pooled = np.full((2, len(benchmark.gold)), np.inf)
    share = np.full(len(benchmark.queries), np.nan)
    top: list[NDArray[np.int64]] = []
    for side, q, hits in _all_hits(searcher, benchmark, depth, how, vectors):
        listed = places.of(hits)[:depth]
        entries = np.arange(benchmark.gold_offsets[q], benchmark.gold_offsets[q + 1])
        if side is None:
            pooled[entries] = _ranks(listed, benchmark.gold[entries])
            top.append(listed[:TOP])
            if len(listed):
                share[q] = np.mean(benchmark.candidates.lang[listed[:TOP]] == benchmark.queries.lang[q])
        else:
            own = entries[gold_lang[entries] == side]
            within[own] = _ranks(listed, benchmark.gold[own])
    return within, pooled, share, top


def _all_hits(
    searcher: Searcher, benchmark: Benchmark, depth: int, how: dict[str, Any], vectors: Vectors | None
) -> Iterator[tuple[int | None, int, list[Hit]]]:
    """Yield (number of the language searched, None for the whole index; number of the query; hits)."""
    sides = [None, *range(len(benchmark.languages))]
    with Progress("searches", len(sides) * len(benchmark.queries)) as progress:
        for side in sides:
            langs = None if side is None else [benchmark.languages[side]]
            for first in range(0, len(benchmark.queries), BATCH):
                texts = benchmark.queries.texts[first : first + BATCH]
                given = None if vectors is None else vectors[first : first + BATCH]
                found = searcher.search_many(texts, k=depth, langs=langs, vectors=given, **how)
                for q, hits in enumerate(found, first):
                    yield side, q, hits
                progress.advance(len(texts))


def passage_documents(benchmark: Benchmark | StreamedCorpus, *, in_context: bool = False) -> Iterator[dict[str, str]]:
    """Yield a benchmark's passages as documents for `build_index`: id, text, lang; those without any text are left out.

    Args:
        benchmark: any benchmark.
        in_context: also yield the context of each passage as `context`, if the benchmark has it.
    """
    contexts = benchmark.contexts if in_context and isinstance(benchmark, Benchmark) else None
    for number, (key, lang, text) in enumerate(_passages(benchmark)):
        if clean(text):
            more = {} if contexts is None else {"context": contexts[number]}
            yield {"id": key, "text": text, "lang": lang, **more}


def refuse_other_index(benchmark: Benchmark, documents: int, checksum: str | None, *, folded: bool = True) -> None:
    """Check that an index holds a benchmark's passages, as far as can be told without searching it.

    Args:
        benchmark: the benchmark.
        documents: number of documents in the index.
        checksum: of the benchmark that the index was made of, as recorded in its `run.json`; None if not recorded.
        folded: `documents` includes those with the same text as another; a store that was exported to does not count
            them.

    Raises:
        InputError: the index is of another benchmark, or the number of documents differs from that of passages.
    """
    texts = [(one["lang"], clean(one["text"])) for one in passage_documents(benchmark)]
    expected = len(texts if folded else set(texts))
    if checksum not in (None, benchmark.checksum):
        raise InputError(f"index: made of other texts or judgements than {benchmark.name} has here; {_REMEDY}")
    if documents != expected:
        raise InputError(f"index: {documents} documents, but {benchmark.name} has {expected} passages; {_REMEDY}")


_REMEDY = "make it with `isoglot index --benchmark`, of the same benchmark, folder and languages"


def _passages(benchmark: Benchmark | StreamedCorpus) -> Iterator[tuple[str, str, str]]:
    if not isinstance(benchmark, Benchmark):
        return benchmark.passages()
    languages = (benchmark.languages[number] for number in benchmark.candidates.lang)
    return zip(benchmark.candidates.ids, languages, benchmark.candidates.texts, strict=True)


class _Places:
    """Maps a hit's document to positions of candidates; passages with the same text in one language are grouped."""

    def __init__(self, benchmark: Benchmark) -> None:
        said: dict[tuple[int, str], list[int]] = {}
        self._alike: dict[str, list[int]] = {}
        columns = (benchmark.candidates.ids, benchmark.candidates.lang.tolist(), benchmark.candidates.texts)
        for place, (key, lang, text) in enumerate(zip(*columns, strict=True)):
            self._alike[clean(key)] = group = said.setdefault((lang, clean(text)), [])
            group.append(place)

    def of(self, hits: Iterable[Hit]) -> NDArray[np.int64]:
        found: dict[int, None] = {}
        for hit in hits:
            if hit.document not in self._alike:
                raise InputError(f"index: its document {hit.document!r} is no passage of the benchmark; {_REMEDY}")
            found.update(dict.fromkeys(self._alike[hit.document]))
        return np.fromiter(found, np.int64, len(found))


def _ranks(listed: NDArray[np.int64], gold: NDArray[np.int64]) -> Floats:
    """Return 1-based ranks of relevant candidates in a list, infinite if they are not in it."""
    same = listed[None, :] == gold[:, None]
    return np.where(same.any(axis=1), same.argmax(axis=1) + 1.0, np.inf) if len(listed) else np.full(len(gold), np.inf)


def _query_vectors(searcher: Searcher, benchmark: Benchmark, how: Mapping[str, Any]) -> Vectors | None:
    """Return vectors of all queries, computed once for the searches in every language; None in `lexical` mode."""
    if how.get("mode") == "lexical":
        return None
    expand = how.get("expand")
    texts = [text if expand is None else expand(clean_query(text)) for text in benchmark.queries.texts]
    return searcher.query_vectors(texts, query_lang=how.get("query_lang"))
