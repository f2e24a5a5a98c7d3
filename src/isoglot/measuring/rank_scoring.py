"""Compute every measure in every setting from the ranks of the relevant candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.measuring import language_bias
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.measures import average_precision, ndcg_at, recall_at, reciprocal_rank
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL, Cell, Values, cells_of
from isoglot.measuring.ranks import Array, Floats, GoldRanks, distinct, query_of, select

TOP = 10  # rank cut-off of nDCG, Comp, TLR, MRC and same-language share
PEER_TOP = 100

_BINARY_MEASURES: dict[str, Callable[[Any, Any], Floats]] = {
    "map": average_precision,
    "recall@1": lambda offsets, ranks: recall_at(offsets, ranks, 1),
    "recall@10": lambda offsets, ranks: recall_at(offsets, ranks, 10),
    "recall@100": lambda offsets, ranks: recall_at(offsets, ranks, 100),
    "mrr": reciprocal_rank,
}
GRADED = f"ndcg@{TOP}"


def score_ranks(
    benchmark: Benchmark,
    ranks: GoldRanks,
    same_language: Floats | None = None,
    agreement: Floats | None = None,
    *,
    name: str,
    trained: tuple[str, ...] | None = None,
    settings: tuple[str, ...] = (MONO, CROSS, POOL),
    depth: int | None = None,
    notes: tuple[str, ...] = (),
    relevant_from: float = 1,
    unfound: int | None = None,
) -> Evaluation:
    """Compute every measure from the ranks of the relevant candidates.

    nDCG uses the grades as gains, as trec_eval does; all other measures are binary. A query without a relevant
    candidate counts as 0, as in trec_eval.

    Args:
        benchmark: queries, candidates and relevance.
        ranks: of its relevant candidates; infinite for those missing from a run of limited depth.
        same_language: (queries,) share of the query's language in the top 10, where known.
        agreement: (queries,) MRC@10, where known.
        name: of the model or run.
        trained: languages the model was trained on, where known.
        settings: the settings to score.
        depth: of a run; None if the whole pool was ranked.
        notes: caveats for readers of the figures.
        relevant_from: the lowest grade that counts as relevant in binary measures (trec_eval `-l`).
        unfound: the rank that rank distance and Max@R assume for relevant candidates that were not found; when None,
            both measures are left out if any was not found.

    Raises:
        InputError: `relevant_from` is below 1, or no candidate reaches it.
    """
    keep = _relevant(benchmark, relevant_from)
    binary = ranks if keep.all() else select(ranks, keep)
    values = _within(benchmark, ranks, binary, keep, tuple(name for name in (MONO, CROSS) if name in settings))
    if POOL in settings:
        of_top = {f"same_language@{TOP}": same_language, f"mrc@{TOP}": agreement}
        known = {measure: found for measure, found in of_top.items() if found is not None}
        pooled, remarks = _pooled(benchmark, ranks, binary, keep, known, unfound)
        values |= pooled
        notes = (*notes, *remarks)
    notes = (*_on_judgements(benchmark, binary, relevant_from), *notes)
    sizes = np.bincount(benchmark.candidates.lang, minlength=len(benchmark.languages))
    return Evaluation(
        benchmark.name,
        name,
        benchmark.languages,
        benchmark.groups,
        values,
        ranks.ties,
        {lang: int(size) for lang, size in zip(benchmark.languages, sizes, strict=True)},
        trained,
        (*benchmark.notes, *notes),
        depth,
    )


def _within(
    benchmark: Benchmark, ranks: GoldRanks, binary: GoldRanks, keep: NDArray[np.bool_], settings: tuple[str, ...]
) -> dict[tuple[str, str], Values]:
    """Every measure within the candidates of one language, for each passage language.

    Args:
        benchmark: queries, candidates and relevance.
        ranks: of all its golds.
        binary: of the golds that are relevant in binary measures.
        keep: (G,) which of the golds these are.
        settings: monolingual, cross_lingual, or both.
    """
    languages, asked = benchmark.languages, benchmark.queries.lang
    gold_lang = benchmark.candidates.lang[benchmark.gold]
    barren = np.diff(ranks.offsets) == 0
    # Where every passage answers queries in its own language only, a column for each ordered pair would hold nothing.
    crossing = bool((gold_lang != asked[query_of(ranks.offsets)]).any())
    cells = {setting: cells_of(setting, languages) if setting == MONO or crossing else () for setting in settings}
    values: dict[tuple[str, str], Values] = {}
    for number, passage_lang in enumerate(languages):
        inside = gold_lang == number
        part = select(ranks, inside)
        relevant = part if binary is ranks else select(binary, inside[keep])
        answered = np.diff(part.offsets) > 0
        own = asked == number
        # A judged query without any relevant passage counts as 0 in its own language, if others are scored there.
        counted = answered | (barren & own & answered[own].any())
        places = {setting: _columns(pairs, languages, passage_lang)[asked] for setting, pairs in cells.items()}
        for measure, found in _measured(part, benchmark.grades[inside], relevant, counted, "within").items():
            for setting, columns in places.items():
                if (setting, measure) not in values:
                    matrix = np.full((len(benchmark.groups), len(cells[setting])), np.nan)
                    values[setting, measure] = Values(setting, measure, cells[setting], matrix)
                there = columns >= 0
                values[setting, measure].matrix[benchmark.group[there], columns[there]] = found[there]
    return values


def _columns(cells: Sequence[Cell], languages: Sequence[str], passage_lang: str) -> NDArray[np.int64]:
    """Return, for each query language, the column of its cell with a passage language; -1 if there is none."""
    of = {x: column for column, (x, y) in enumerate(cells) if y == passage_lang}
    return np.array([of.get(x, -1) for x in languages], np.int64)


def _pooled(
    benchmark: Benchmark,
    ranks: GoldRanks,
    binary: GoldRanks,
    keep: NDArray[np.bool_],
    known: dict[str, Floats],
    unfound: int | None,
) -> tuple[dict[tuple[str, str], Values], tuple[str, ...]]:
    """Every measure over the pool of all languages, with one-target deletion, and remarks.

    Arguments as in `_within` and `score_ranks`; `known` holds the measures that cannot be computed from ranks.
    """
    languages = benchmark.languages
    relevant_lang = benchmark.candidates.lang[benchmark.gold][keep]
    counted = np.ones(len(benchmark.queries), np.bool_)
    of_bias, remarks = _bias(benchmark, binary, relevant_lang, unfound)
    found = _measured(ranks, benchmark.grades, binary, counted, "pooled") | of_bias | known
    cells = cells_of(POOL, languages)
    values: dict[tuple[str, str], Values] = {
        (POOL, measure): Values(POOL, measure, cells, _spread(benchmark, per_query))
        for measure, per_query in found.items()
    }
    if of_bias:
        drops = language_bias.one_target_deletion(binary.offsets, binary.pooled, relevant_lang, len(languages))
        matrix = _spread(benchmark, drops).reshape(len(benchmark.groups), -1)
        values[DELETION, "map"] = Values(DELETION, "map", cells_of(DELETION, languages), matrix)
    return values, remarks


def _spread(benchmark: Benchmark, per_query: Floats) -> Floats:
    """Rearrange values (Q, ...) by group and query language: (groups, languages, ...), NaN where there is no query."""
    spread = np.full((len(benchmark.groups), len(benchmark.languages), *per_query.shape[1:]), np.nan)
    spread[benchmark.group, benchmark.queries.lang] = per_query
    return spread


def _relevant(benchmark: Benchmark, relevant_from: float) -> NDArray[np.bool_]:
    """Mask (G,) of the benchmark's golds that are relevant in binary measures."""
    if not relevant_from >= 1:
        raise InputError(f"relevant from grade {relevant_from:g}: expected 1 or more; lower grades mean not relevant")
    keep: NDArray[np.bool_] = benchmark.grades >= relevant_from
    if len(keep) and not keep.any():
        raise InputError(
            f"{benchmark.name}: no judgement reaches grade {relevant_from:g}; the highest is {benchmark.grades.max():g}"
        )
    return keep


def _measured(
    ranks: GoldRanks,
    grades: Array,
    relevant: GoldRanks,
    counted: NDArray[np.bool_],
    which: Literal["within", "pooled"],
) -> dict[str, Floats]:
    """Per-query values of each measure; without relevant candidates 0 for queries in `counted`, NaN for others."""
    found = {name: function(relevant.offsets, getattr(relevant, which)) for name, function in _BINARY_MEASURES.items()}
    found[GRADED] = ndcg_at(ranks.offsets, getattr(ranks, which), TOP, grades)
    return {name: np.where(np.isnan(own) & counted, 0.0, own) for name, own in found.items()}


def _on_judgements(benchmark: Benchmark, relevant: GoldRanks, relevant_from: float) -> list[str]:
    """Notes on graded judgements and on queries without relevant passages."""
    notes = []
    if (benchmark.grades != 1).any():
        notes.append(
            f"graded judgements: {GRADED} uses the grade as gain (linear, as trec_eval); all other measures count "
            f"grade {relevant_from:g} and above as relevant"
        )
    bare = int((np.diff(relevant.offsets) == 0).sum())
    if bare:
        which = "no relevant passage" if relevant_from == 1 else f"no passage of grade {relevant_from:g} or above"
        notes.append(
            f"{bare} judged {'query has' if bare == 1 else 'queries have'} {which}: counted as 0, as in trec_eval"
        )
    return notes


def _bias(
    benchmark: Benchmark, ranks: GoldRanks, gold_lang: Any, unfound: int | None
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Measures of language bias, for queries with relevant candidates in several languages; and remarks."""
    offsets, query_lang = ranks.offsets, benchmark.queries.lang
    query = query_of(offsets)
    spans = np.zeros(len(offsets) - 1, np.bool_)
    first = gold_lang[np.minimum(offsets[:-1], max(len(gold_lang) - 1, 0))] if len(gold_lang) else query_lang
    spans[query[gold_lang != first[query]]] = True
    if not spans.any():
        return {}, (
            "no query has relevant candidates in several languages: rank distance, Max@R, Comp@K, LPR, TLR@k and "
            "one-target deletion compare languages of one query's answers, so they are not reported",
        )
    size = len(benchmark.candidates)
    found = {
        f"comp@{TOP}": language_bias.comp_at(offsets, ranks.pooled, TOP),
        "comp@100": language_bias.comp_at(offsets, ranks.pooled, 100),
        "lpr": language_bias.lpr(offsets, ranks.pooled, gold_lang, query_lang),
        "lpr_unbiased": language_bias.unbiased_lpr(offsets, gold_lang, query_lang),
        f"tlr@{TOP}": language_bias.tlr_at(offsets, ranks.pooled, gold_lang, query_lang, TOP),
    }
    remarks: list[str] = []
    known = ranks.pooled if unfound is None else np.minimum(ranks.pooled, unfound)
    if np.isinf(known).any():
        remarks.append(
            "rank distance and Max@R need every relevant candidate's rank, which this run does not have: left out"
        )
    else:
        found = {
            "rank_distance": language_bias.rank_distance(offsets, known),
            "rank_distance_normalised": language_bias.normalised_rank_distance(offsets, known, size),
            "max@r": language_bias.max_at_r(offsets, known),
            "max@r_normalised": language_bias.normalised_max_at_r(offsets, known, size),
            **found,
        }
    if distinct(query * len(benchmark.languages) + gold_lang) < len(gold_lang):
        found[f"peer@{PEER_TOP}"] = language_bias.peer_at(offsets, ranks.pooled, gold_lang, PEER_TOP)
    else:
        remarks.append(f"PEER@{PEER_TOP} is constant where each language has one relevant candidate, as here: left out")
    return {name: np.where(spans, own, np.nan) for name, own in found.items()}, tuple(remarks)
