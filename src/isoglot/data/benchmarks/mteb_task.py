"""Load a multilingual MTEB retrieval task as one benchmark, with all its subsets merged into one pool.

Requires the `mteb` extra. A subset has one language, or two: that of the queries and that of the passages, in either
order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from isoglot.core.errors import InputError, needs
from isoglot.data.benchmarks.benchmark import Benchmark, assemble
from isoglot.languages.codes import normal_code
from isoglot.languages.table import parse_codes

_SAMPLE = 20  # texts checked to find out which of two languages a subset's queries are in
_LONG = 8  # an id of at least this many characters means the same question in every language
_NOTE_ORDER = "which language the queries of a two-language subset are in could not be told: the first was taken"


@dataclass
class _Pool:
    """The merged queries, candidates and judgements of all subsets.

    Attributes:
        queries: (language, id, number among different texts with that id) -> text.
        candidates: (language, text, number among equal texts in a subset) -> id.
        answers: query -> candidate id -> grade.
        corpora: language -> the distinct sets of passages in its subsets, to note if they differ.
    """

    queries: dict[tuple[str, str, int], str] = field(default_factory=dict)
    candidates: dict[tuple[str, str, int], str] = field(default_factory=dict)
    answers: dict[tuple[str, str, int], dict[str, float]] = field(default_factory=dict)
    corpora: dict[str, set[frozenset[str]]] = field(default_factory=lambda: defaultdict(set))


def load_mteb(task: Any, *, langs: str | Iterable[str] | None = None, split: str | None = None) -> Benchmark:
    """Merge the subsets of an MTEB retrieval task, for monolingual, cross-lingual and pooled retrieval at once.

    Equal texts of one language in several subsets are one candidate; a query is identified by its language, id and
    text. Queries with the same id in several languages are translations (one group) if they share an answer, or if
    the ids imply it: long ids (such as SQuAD's), at least 90 % of which all languages have. In the latter case the
    answers to one query are answers to all its translations.

    Args:
        task: the task's name (known to `mteb.get_task`), or a task object.
        langs: codes to keep, for queries and passages alike: several, or one text with commas.
        split: split of the task; its first evaluation split if None.

    Raises:
        MissingPackageError: MTEB is not installed.
        InputError: the task is unknown or not text retrieval, or a subset has more than two languages.
    """
    task = _task(task) if isinstance(task, str) else task
    name = str(task.metadata.name)
    subsets = {key: tuple(map(normal_code, found)) for key, found in _languages(task).items()}
    known = tuple(sorted({code for codes in subsets.values() for code in codes}))
    kept = set(parse_codes(langs, known))
    chosen = {key: codes for key, codes in subsets.items() if set(codes) <= kept}
    crowded = [key for key, codes in chosen.items() if len(codes) > 2]
    if crowded or not chosen:
        seen = f"subset {crowded[0]!r} has {len(chosen[crowded[0]])} languages" if crowded else "no subset is left"
        raise InputError(f"MTEB task {name}: {seen}; expected subsets of one language, or of queries' and passages'")
    task.hf_subsets = list(chosen)
    task.load_data()
    notes = []
    singles = {codes[0]: _texts(task, key, split, "queries") for key, codes in chosen.items() if len(set(codes)) == 1}
    pool = _Pool()
    for key, codes in chosen.items():
        part = _part(task, key, split)
        asked, answered = codes[0], codes[-1]
        if asked != answered:
            queries = _texts(task, key, split, "queries")
            order = _order(codes, queries, _texts(task, key, split, "corpus"), singles)
            if order is None:
                notes.append(_NOTE_ORDER)
            asked, answered = order or codes
        _gather(pool, part, asked, answered)
    for lang, found in sorted(pool.corpora.items()):
        if len(found) > 1:
            notes.append(f"subsets hold different passages in {lang}: each is scored against all of them")
    return _assembled(name, pool, notes)


def _task(name: str) -> Any:
    with needs("MTEB tasks need mteb", "mteb"):
        import mteb
    try:
        task = mteb.get_task(name)
    except KeyError as error:
        said = str(error.args[0]) if error.args else "unknown"
        raise InputError(f"benchmark mteb:{name}: MTEB has no such task ({said})") from error
    if not hasattr(task, "k_values") or "text" not in task.metadata.modalities:
        raise InputError(f"benchmark mteb:{name}: a {task.metadata.type} task; expected retrieval of texts")
    return task


def _languages(task: Any) -> dict[str, list[str]]:
    """Return the languages of each subset, in MTEB's spelling."""
    found = task.metadata.eval_langs
    return {key: list(own) for key, own in found.items()} if isinstance(found, Mapping) else {"default": list(found)}


def _part(task: Any, key: str, split: str | None) -> Any:
    parts = task.dataset[key]
    wanted = split or task.metadata.eval_splits[0]
    if wanted not in parts:
        raise InputError(f"MTEB task {task.metadata.name}: no split {wanted!r}; there are: {', '.join(parts)}")
    return parts[wanted]


def _texts(task: Any, key: str, split: str | None, side: str) -> list[str]:
    return [text for _, text in _entries(_part(task, key, split)[side])]


def _entries(rows: Any) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of queries or passages, with the title before the text as in MTEB."""
    for row in rows:
        text, title = row["text"], row.get("title")
        if not isinstance(text, str):
            raise InputError(f"query {row['id']!r}: a conversation, not a text; such tasks are not supported")
        yield str(row["id"]), (f"{title} {text}" if title else text).strip()


def _order(
    codes: tuple[str, ...], queries: list[str], passages: list[str], singles: dict[str, list[str]]
) -> tuple[str, str] | None:
    """Return the languages of a subset's (queries, passages); None if they cannot be determined.

    Queries also found in a monolingual subset decide; otherwise language detection, by a two-thirds majority.
    """
    first, second = codes
    asked = set(queries)
    for known, other in ((first, second), (second, first)):
        if asked & set(singles.get(known, ())) and not asked & set(singles.get(other, ())):
            return known, other
    from isoglot.languages.detection import detect

    seen: Counter[tuple[str, str]] = Counter()
    for turned, texts in ((False, queries), (True, passages)):
        for text in texts[:_SAMPLE]:
            found = detect(text, codes)
            if found in codes:
                straight = (found == first) != turned
                seen[(first, second) if straight else (second, first)] += 1
    best = seen.most_common(1)
    return best[0][0] if best and 3 * best[0][1] > 2 * sum(seen.values()) else None


def _gather(pool: _Pool, part: Any, asked: str, answered: str) -> None:
    """Add one subset's queries, passages and judgements to the pool."""
    place: dict[str, str] = {}
    times: Counter[str] = Counter()
    for key, text in _entries(part["corpus"]):
        own = (answered, text, times[text])
        times[text] += 1
        taken = pool.candidates.setdefault(own, f"{answered}:{len(pool.candidates)}:{key}")
        place[key] = taken
    pool.corpora[answered].add(frozenset(times))
    for key, text in _entries(part["queries"]):
        grades = part["relevant_docs"].get(key)
        if grades is None:
            continue
        turn = 0
        while pool.queries.setdefault((asked, key, turn), text) != text:
            turn += 1
        judged = {place[str(one)]: float(grade) for one, grade in grades.items() if str(one) in place}
        pool.answers.setdefault((asked, key, turn), {}).update(judged)


def _assembled(name: str, pool: _Pool, notes: list[str]) -> Benchmark:
    by_id: dict[tuple[str, int], list[tuple[str, str, int]]] = defaultdict(list)
    for query in pool.queries:
        by_id[query[1:]].append(query)
    spoken = {query[0] for query in pool.queries}
    shared = [key for key, found in by_id.items() if len(found) == len(spoken)]
    named = len(spoken) > 1 and len(shared) >= 0.9 * len(by_id) and all(len(key) >= _LONG for key, _ in shared)
    group: dict[tuple[str, str, int], str] = {}
    for (key, turn), versions in by_id.items():
        answers = [{one for one, grade in pool.answers[query].items() if grade >= 1} for query in versions]
        together = named or (len(versions) > 1 and bool(set.intersection(*answers)))
        for query in versions:
            suffix = f"#{turn}" if turn else ""
            group[query] = f"{key}{suffix}" if together else f"{query[0]}:{key}{suffix}"
        if named:
            merged: dict[str, float] = {}
            for query in versions:
                merged |= pool.answers[query]
            for query in versions:
                pool.answers[query] = merged
    if named:
        notes.append("all languages ask the questions of the same ids: taken as translations, with answers in common")
    return assemble(
        f"mteb:{name}",
        [(_query_id(query), query[0], group[query], text) for query, text in pool.queries.items()],
        [(key, lang, text) for (lang, text, _), key in pool.candidates.items()],
        {_query_id(query): found for query, found in pool.answers.items()},
        tuple(dict.fromkeys(notes)),
        by="query",
    )


def _query_id(query: tuple[str, str, int]) -> str:
    lang, key, turn = query
    return f"{lang}:{key}" + (f"#{turn}" if turn else "")
