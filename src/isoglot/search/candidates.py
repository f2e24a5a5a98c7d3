"""Candidates for hits: retrieved by vector and by words, fused, re-ranked, with a quota for every language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.judges import Judge
from isoglot.encoders.late_interaction import LateScorer, mixed
from isoglot.encoders.levels import NEAREST, levels_of
from isoglot.encoders.model_locks import turn
from isoglot.encoders.quantised_tokens import QuantisedTokens
from isoglot.languages.normal_form import search_form
from isoglot.languages.words import search_terms
from isoglot.search.filters.tree import Filter
from isoglot.search.fusion import AMONG, BELOW, of_words, on_one_scale, with_quota
from isoglot.search.index.protocol import ByLanguage, Found, Index
from isoglot.search.passage import Passage, read_text


@dataclass
class Candidate:
    """A passage that may become a hit; `also` holds ids of the passages collapsed into it."""

    passage: Passage
    parts: dict[str, float]
    score: float = 0.0
    also: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What identifies a passage: its document's id and its own."""
        return self.passage.document, self.passage.id


def nearest(
    index: Index,
    vector: Vectors,
    depth: int,
    langs: Sequence[str] | None,
    *,
    apart: Sequence[str] | None = None,
    where: Filter | None = None,
) -> list[Candidate]:
    """Return the nearest passages, best first.

    Args:
        index: the index to search.
        vector: unit vector of the query (d,).
        depth: passages to find; per language with `apart`.
        langs: languages to search; all when None.
        apart: languages to search one by one; the passages are then sorted by their cosine less their language's level.
            All together when None.
        where: a filter checked against the index.
    """
    if apart is None:
        found = index.nearest(vector, depth, langs, where)
        return [Candidate(passage, {"dense": score}, score) for passage, score in found]
    deep = max(depth, NEAREST)
    if isinstance(index, ByLanguage):
        each = index.nearest_in_each(vector, deep, apart, where)
    else:
        each = [index.nearest(vector, deep, [code], where) for code in apart]
    if not any(each):
        return []
    standing = [
        Candidate(passage, {"dense": score, "balanced": score - level}, score - level)
        for near, level in zip(each, _levels(index, vector, apart, each), strict=True)
        for passage, score in near
    ]
    return sorted(standing, key=lambda candidate: -candidate.score)


def _levels(index: Index, vector: Vectors, langs: Sequence[str], each: Sequence[Sequence[Found]]) -> list[float]:
    """The level subtracted from each language's cosines, from its sample and from what was found in it."""
    samples = [(index.sample(code) @ vector)[None] for code in langs]
    found = [np.array([[one.score for one in near]], np.float64) for near in each]
    levels: list[float] = levels_of(samples, found)[0].tolist()
    return levels


def matching(
    index: Index,
    text: str,
    depth: int,
    langs: Sequence[str] | None,
    *,
    apart: Sequence[str] | None = None,
    where: Filter | None = None,
) -> list[Candidate]:
    """Return passages that contain words of a text, best first; arguments as in `nearest`.

    Languages that are searched apart are interleaved: the best of every language, then the second best, and so on.
    """
    if apart is None:
        return _lexical(index.matching(text, depth, langs, where))
    ranked = [
        (rank, candidate)
        for code in apart
        for rank, candidate in enumerate(_lexical(index.matching(text, depth, [code], where)))
    ]
    return [candidate for _, candidate in sorted(ranked, key=lambda entry: (entry[0], -entry[1].score))]


Terms = Callable[[Candidate], AbstractSet[str]]


def fuse(
    near: Sequence[Candidate], matched: Sequence[Candidate], words: AbstractSet[str], terms: Terms
) -> list[Candidate]:
    """Fuse the rankings by vector and by words into one, best first; a passage keeps the parts of both.

    The score is a passage's scaled cosine (`on_one_scale`) plus what the query's words add (`of_words`). Words are
    compared for the 50 nearest and the 50 with the highest BM25, so that the first results do not depend on how many
    are requested. One of the 50 nearest that is not among 50 matches has at most the BM25 of the last of them, and is
    given that; matches below the 50th gain next to nothing.

    Args:
        near: candidates by vector, best first.
        matched: candidates by words, in any order.
        words: terms of the query.
        terms: returns the terms of a passage.
    """
    near, matched = _distinct(near), _distinct(sorted(matched, key=lambda one: -one.parts["lexical"]))
    if not near or not matched:
        return [*near, *matched]
    strong, listed = matched[:AMONG], {one.key for one in matched[:AMONG]}
    beside = [one for one in near[:AMONG] if one.key not in listed] if len(matched) >= AMONG else []
    looked = [*strong, *beside]
    found = np.array([one.parts["lexical"] for one in strong] + [strong[-1].parts["lexical"]] * len(beside))
    shares = np.array([len(words & terms(one)) for one in looked]) / max(1, len(words))
    # The 50 best of both lists come first, so that equal scores, too, do not depend on how long the lists are.
    together = {one.key: one for one in _distinct([*near[:AMONG], *strong, *near, *matched])}
    scores = dict.fromkeys(together, 0.0)
    for one, own in zip(near, on_one_scale(np.array([one.score for one in near])).tolist(), strict=True):
        scores[one.key] = own
    for one, more in zip(looked, of_words(found, shares).tolist(), strict=True):
        if more:
            scores[one.key] = max(scores[one.key], 0.0) + more
    counted = {one.key for one in looked}
    for one in matched:
        if one.key not in counted:
            scores[one.key] += BELOW * one.parts["lexical"] / max(float(found[0]), 1e-6)
    for one in [*near, *matched]:
        together[one.key].parts.update(one.parts)
    for key, one in together.items():
        one.parts["hybrid"] = one.score = scores[key]
    return sorted(together.values(), key=lambda one: -one.score)


def terms_of_text(text: str) -> AbstractSet[str]:
    """Return the terms of a text, of a query and a passage alike."""
    return frozenset(search_terms(search_form(text)))


def best(candidates: Sequence[Candidate], places: int, quota: float) -> list[Candidate]:
    """Return the first `places` candidates, with a minimum for every language; `quota` as in `with_quota`."""
    if quota * places < 1:  # no language has a reserved place
        return list(candidates[:places])
    keep = with_quota([candidate.passage.lang for candidate in candidates], places, quota)
    return [candidates[position] for position in keep]


def reranked(judge: Judge, query: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates sorted by a judge's scores.

    Args:
        judge: a cross-encoder, for instance.
        query: the query.
        candidates: any order.

    Raises:
        InputError: the judge returns several scores per pair, or one that is not finite.
    """
    pairs = [(query, read_text(candidate.passage)) for candidate in candidates]
    with turn(judge):
        scores = np.asarray(judge.predict(pairs), np.float64)
    if scores.shape != (len(pairs),):
        raise InputError(f"rerank: the model returns {scores.shape[1:]} scores per pair; expected one")
    if not np.isfinite(scores).all():
        raise InputError("rerank: the model returns a score that is not a finite number")
    for candidate, score in zip(candidates, scores.tolist(), strict=True):
        candidate.parts["rerank"] = candidate.score = score
    return sorted(candidates, key=lambda candidate: -candidate.score)


def reranked_late(
    late: LateScorer,
    query: str,
    candidates: Sequence[Candidate],
    *,
    drawn: bool,
    kept: Sequence[QuantisedTokens] | None = None,
) -> list[Candidate]:
    """Return candidates sorted by their cosines mixed with late interaction scores.

    Args:
        late: late interaction with the index's encoder.
        query: the query.
        candidates: any order; those found by words alone get the lowest cosine among the others of their language, or
            among all, or 0.
        drawn: the query vector was moved by feedback.
        kept: the candidates' token vectors, if the index stores them; computed here when None.
    """
    if kept is None:
        tokens = late.late(query, [read_text(candidate.passage) for candidate in candidates])
    else:
        tokens = late.late_of(query, kept)
    least: dict[str, float] = {}
    for one in candidates:
        if "dense" in one.parts:
            lang, cosine = one.passage.lang, one.parts["dense"]
            least[lang] = min(least.get(lang, cosine), cosine)
    lowest = min(least.values(), default=0.0)
    cosines = np.array([one.parts.get("dense", least.get(one.passage.lang, lowest)) for one in candidates])
    scores = mixed(cosines, tokens, drawn=drawn)
    for candidate, score, own in zip(candidates, scores.tolist(), tokens.tolist(), strict=True):
        candidate.parts.update(late=own, rerank=score)
        candidate.score = score
    return sorted(candidates, key=lambda candidate: -candidate.score)


def levelled(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates sorted by their scores less their languages' levels, estimated from these scores alone.

    A re-ranker may prefer some languages, as a first search does, and nothing is known of how it scores other passages.
    Levels are comparable if their passages are: so a language's level is that of its nearest passages by vector, at
    most as many as the language in the middle has. Those that words alone found, mostly in the query's language, would
    lower its level.

    Args:
        candidates: of several languages, any order.
    """
    if not candidates:
        return []
    near = [one for one in candidates if "dense" in one.parts] or candidates
    each: dict[str, list[Candidate]] = {code: [] for code in sorted({one.passage.lang for one in candidates})}
    for one in sorted(near, key=lambda one: -one.parts.get("dense", 0.0)):
        each[one.passage.lang].append(one)
    most = max(NEAREST, median_low(len(own) for own in each.values()))
    scores = [np.array([[one.score for one in own[:most]]]) for own in each.values()]
    levels = dict(zip(each, levels_of(scores)[0].tolist(), strict=True))
    for one in candidates:
        one.parts["balanced"] = one.score = one.score - levels[one.passage.lang]
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _lexical(found: Sequence[Found]) -> list[Candidate]:
    return [Candidate(passage, {"lexical": score}, score) for passage, score in found]


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    first: dict[tuple[str, str], Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.key, candidate)
    return list(first.values())
