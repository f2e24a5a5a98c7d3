"""Read training files of MIRACL and Mr. TyDi: topics, judgements and a corpus per language; all positives are kept.

MIRACL: `miracl-v1.0-LANG/topics/topics.miracl-v1.0-LANG-SPLIT.tsv`, `.../qrels/qrels.miracl-v1.0-LANG-SPLIT.tsv` and
`miracl-corpus-v1.0-LANG/docs-*.jsonl.gz`. Mr. TyDi: `mrtydi-v1.1-LANGUAGE/topic.SPLIT.tsv`, `qrels.SPLIT.txt` and
`collection/docs.jsonl.gz` in the same folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.benchmarks.qrels import grade_of, unambiguous
from isoglot.data.records import jsonl_records, table_rows
from isoglot.data.rows import Row, check_rows
from isoglot.languages.known_languages import known
from isoglot.languages.table import parse_codes

_REMEDY = "Expected topics (id, tab, text), TREC qrels (query, Q0, passage, grade) and a corpus of JSON lines."


class Place(NamedTuple):
    """The files of one language."""

    topics: Path
    qrels: Path
    corpus: tuple[Path, ...]


def judged_rows(
    folder: Path,
    *,
    split: str = "train",
    langs: str | Iterable[str] | None = None,
    dataset: str | None = None,
    negatives: int = 4,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of every language whose files exist: a group is a query with all its relevant passages.

    Queries were written independently in each language, so every group has one language. Passages judged not relevant
    become negatives. Corpora are streamed; memory holds the judged passages of one language.

    Args:
        folder: contains the languages' folders (see the module).
        split: such as `train` or `dev`.
        langs: codes to keep: several, or one text with commas.
        dataset: name of the data set; `miracl` or `mr-tydi` by default.
        negatives: maximum number of negatives per row.
        notes: counts what was left out.

    Raises:
        InputError: the folder has the files of no language, lines are malformed, or judgements name unknown queries.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected MIRACL's or Mr. TyDi's files")
    if negatives < 0:
        raise InputError(f"{negatives} negatives: expected 0 or more")
    left_out = Counter[str]() if notes is None else notes
    places = {code: place for code in known() if (place := _miracl(folder, code, split) or _tydi(folder, code, split))}
    if not places:
        raise InputError(
            f"{folder}: no topics, qrels and corpus of the split {split!r}; expected miracl-v1.0-LANG/ with "
            "miracl-corpus-v1.0-LANG/, or mrtydi-v1.1-LANGUAGE/"
        )
    problems = Problems()
    for code in parse_codes(langs, tuple(sorted(places))):
        yield from _language_rows(places[code], code, dataset, negatives, left_out, problems)
    problems.raise_if_any(_REMEDY)


def _language_rows(
    place: Place, code: str, dataset: str | None, negatives: int, left_out: Counter[str], problems: Problems
) -> Iterator[Row]:
    """Stream one language's rows; the arguments are those of `judged_rows`."""
    name = dataset or ("mr-tydi" if place.topics.name.startswith("topic.") else "miracl")
    topics = {key: (number, text) for number, (key, text) in table_rows(place.topics, 2, problems)}
    judged = _judgements(place.qrels, topics, problems)
    wanted = {key for positives, others in judged.values() for key in (*positives, *others[:negatives])}
    texts = _passages(place.corpus, wanted, problems)
    left_out += Counter(
        {
            "judged passages missing from the corpus": len(wanted - texts.keys()),
            "queries without a judgement": len(topics) - len(judged),
        }
    )
    for query, (positives, others) in judged.items():
        passages = [texts[key] for key in positives if key in texts]
        if not passages:
            left_out["queries without a relevant passage in the corpus"] += 1
            continue
        number, text = topics[query]
        answers = {_whole(entry) for entry in passages}
        unlike = [_whole(texts[key]) for key in others[:negatives] if key in texts]
        kept = [other for other in unlike if other not in answers]
        left_out += Counter({"negatives that are a passage of the query left out": len(unlike) - len(kept)})
        record = {
            "group": f"{code}:{query}",
            "lang": code,
            "query": text,
            "passages": list({(entry["title"], entry["text"]): entry for entry in passages}.values()),
            "dataset": name,
            "negatives": kept,
        }
        yield from check_rows(record, place.topics, number, problems)


def _whole(entry: dict[str, str]) -> str:
    return f"{entry['title']} {entry['text']}".strip()


def _miracl(folder: Path, code: str, split: str) -> Place | None:
    home, corpus = folder / f"miracl-v1.0-{code}", folder / f"miracl-corpus-v1.0-{code}"
    return _place(
        home / "topics" / f"topics.miracl-v1.0-{code}-{split}.tsv",
        home / "qrels" / f"qrels.miracl-v1.0-{code}-{split}.tsv",
        corpus,
    )


def _tydi(folder: Path, code: str, split: str) -> Place | None:
    for home in (folder / f"mrtydi-v1.1-{known()[code].name.lower()}", folder / known()[code].name.lower()):
        found = _place(home / f"topic.{split}.tsv", home / f"qrels.{split}.txt", home / "collection")
        if found is not None:
            return found
    return None


def _place(topics: Path, qrels: Path, corpus: Path) -> Place | None:
    files = tuple(sorted([*corpus.glob("docs*.jsonl.gz"), *corpus.glob("docs*.jsonl")]))
    return Place(topics, qrels, files) if topics.is_file() and qrels.is_file() and files else None


def _judgements(path: Path, topics: Collection[str], problems: Problems) -> dict[str, tuple[list[str], list[str]]]:
    """Return query id -> (ids of its relevant passages, ids of those judged not relevant), each id once."""
    judged: dict[str, tuple[list[str], list[str]]] = {}
    for _, query, passage, grade in unambiguous(_graded(path, topics, problems), path, problems):
        ids = judged.setdefault(query, ([], []))[0 if grade >= 1 else 1]
        if passage not in ids:
            ids.append(passage)
    return judged


def _graded(path: Path, topics: Collection[str], problems: Problems) -> Iterator[tuple[int, str, str, float]]:
    """Yield line number, query id, passage id and grade of each valid line."""
    for number, (query, _, passage, grade) in table_rows(path, 4, problems, separator=None):
        value = grade_of(grade)
        if value is None:
            problems.add(path, number, f"grade {grade!r} is not a number")
        elif query not in topics:
            problems.add(path, number, f"query {query!r} is not among the topics")
        else:
            yield number, query, passage, value


def _passages(files: tuple[Path, ...], wanted: set[str], problems: Problems) -> dict[str, dict[str, str]]:
    """Return the title and text of the wanted passages; Mr. TyDi's `contents` is title, empty line, text."""
    found: dict[str, dict[str, str]] = {}
    for path in files:
        for number, record in jsonl_records(path, problems):
            key = (record.get("docid") or record.get("id")) if isinstance(record, dict) else None
            if not isinstance(key, str):
                problems.add(path, number, "no passage: expected an object with docid (or id) and text (or contents)")
                continue
            if key not in wanted:
                continue
            title, text = record.get("title") or "", record.get("text")
            if text is None and isinstance(record.get("contents"), str):
                head, blank, rest = record["contents"].partition("\n\n")
                title, text = (head, rest) if blank else ("", head)
            if not isinstance(text, str) or not text.strip():
                problems.add(path, number, "no text in text or contents")
            else:
                found[key] = {"title": " ".join(str(title).split()), "text": " ".join(text.split())}
    return found
