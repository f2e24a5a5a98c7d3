"""Convert mMARCO (Bonifacio et al., arXiv 2108.13897) to parallel rows, matching translations by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.hub_files import fetch_from_hub
from isoglot.data.records import table_rows
from isoglot.data.rows import Row, check_rows
from isoglot.languages.known_languages import known
from isoglot.languages.table import parse_codes

QUERIES, COLLECTION = "queries.{lang}.tsv", "collection.{lang}.tsv"
_REMEDY = "Fix or remove these lines; docs/data.md describes mMARCO's layout."


def mmarco_rows(
    folder: Path,
    *,
    queries: str = QUERIES,
    collection: str = COLLECTION,
    relations: Path | None = None,
    langs: str | Iterable[str] | None = None,
    dataset: str = "mmarco",
    negatives: int = 1,
    max_groups: int | None = None,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of every language that has both files: a group is a query id with all its relevant passages.

    Collections are streamed; memory holds the passages needed for one language.

    Args:
        folder: contains the files.
        queries: name of a query file (`id TAB text`); `{lang}` stands for the code, `{language}` for the English name
            in lower case, as in mMARCO's own `{language}_queries.train.tsv`.
        collection: name of a passage file (`id TAB text`), with the same placeholders.
        relations: qrels (`query 0 passage relevance`) or triples (`query TAB passage TAB negative`), distinguished by
            the number of columns; None takes the folder's only `qrels*.tsv` or `triples*.tsv`.
        langs: codes to keep: several, or one text with commas.
        dataset: name of the data set.
        negatives: maximum number of negatives per row (triples only); the first ones are kept.
        max_groups: keep only this many query ids, the first ones in `relations`; all if None.
        notes: counts what was left out.

    Raises:
        InputError: files are missing, or lines are malformed (all are reported together).
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with {queries} and {collection}")
    if negatives < 0 or (max_groups is not None and max_groups < 1):
        raise InputError(f"negatives {negatives} with `max_groups` {max_groups}: expected 0 or more, and 1 or more")
    left_out = Counter[str]() if notes is None else notes
    files = {
        code: (folder / _named(queries, code), folder / _named(collection, code))
        for code in known()
        if (folder / _named(queries, code)).is_file() and (folder / _named(collection, code)).is_file()
    }
    if not files:
        raise InputError(
            f"{folder}: no language has both {queries} and {collection}; name the files with `queries` and `collection`"
        )
    problems = Problems()
    wanted = _relations(relations or _only(folder), problems, negatives, max_groups)
    passages_wanted = {text for positives, others in wanted.values() for text in (*positives, *others)}
    for code in parse_codes(langs, tuple(sorted(files))):
        query_file, collection_file = files[code]
        asked = _texts(query_file, wanted.keys(), problems)
        texts = _texts(collection_file, passages_wanted, problems)
        for group, number, record in _records(wanted, asked, texts, left_out):
            yield from check_rows(
                {"group": group, "lang": code, "dataset": dataset, **record}, query_file, number, problems
            )
    problems.raise_if_any(_REMEDY)


def _records(
    wanted: Mapping[str, tuple[list[str], list[str]]],
    asked: Mapping[str, tuple[int, str]],
    texts: Mapping[str, tuple[int, str]],
    left_out: Counter[str],
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield (query id, line of the query, texts) of each query of one language that has a relevant passage."""
    for group, (positives, others) in wanted.items():
        there = [texts[key][1] for key in positives if key in texts]
        answers = list(dict.fromkeys(there))
        if group not in asked or not answers:
            left_out["rows whose query or passage is missing in a language"] += 1
            continue
        # Different ids may have the same text, sometimes in one language only: such a copy of a relevant passage
        # must not become a negative.
        unlike = [texts[key][1] for key in others if key in texts]
        kept = [text for text in dict.fromkeys(unlike) if text not in answers]
        left_out["repeated passages of a query left out"] += len(there) - len(answers)
        left_out["negatives that are a passage of the query left out"] += sum(text in answers for text in unlike)
        number, query = asked[group]
        yield group, number, {"query": query, "passages": answers, "negatives": kept}


HUB_QUERIES = "data/google/queries/train/{language}_queries.train.tsv"
HUB_COLLECTION = "data/google/collections/{language}_collection.tsv"
HUB_RELATIONS = "data/triples.train.ids.small.tsv"


def fetch_mmarco(hub_id: str, langs: str | Iterable[str] | None, *, offline: bool | None = None) -> Path:
    """Download the files of some languages from mMARCO's Hub data set to the Hub's cache, resuming partial downloads.

    Args:
        hub_id: `unicamp-dl/mmarco@REVISION`; the revision is required, so that the rows can be reproduced.
        langs: codes: several, or one text with commas; all if None.
        offline: use only what is in the cache; None asks `is_offline`.

    Returns:
        The folder to pass to `mmarco_rows`, with HUB_QUERIES, HUB_COLLECTION and HUB_RELATIONS.

    Raises:
        InputError: no revision, an unknown language, or downloading is off and the cache has nothing.
        IsoglotError: the download failed.
    """
    if not hub_id.partition("@")[2]:
        raise InputError(f"{hub_id}: no such folder; for a Hub data set, give a revision (ID@COMMIT)")
    codes = parse_codes(langs, tuple(known())) if langs else ("*",)
    patterns = [HUB_RELATIONS]
    for code in codes:
        own = (HUB_QUERIES, HUB_COLLECTION)
        patterns += [text.replace("{language}", "*") if code == "*" else _named(text, code) for text in own]
    return fetch_from_hub(
        hub_id,
        patterns,
        offline=offline,
        when_off="go online, or give its folder",
        when_failed="try again (it resumes)",
    )


def _named(template: str, code: str) -> str:
    return template.replace("{language}", known()[code].name.lower()).replace("{lang}", code)


def _only(folder: Path) -> Path:
    found = sorted({*folder.glob("qrels*.tsv"), *folder.glob("triples*.tsv")})
    if len(found) != 1:
        seen = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder}: expected one qrels*.tsv or triples*.tsv, found {seen}; name one in `relations`")
    return found[0]


def _relations(
    path: Path, problems: Problems, negatives: int, max_groups: int | None
) -> dict[str, tuple[list[str], list[str]]]:
    """Return query id -> (ids of its relevant passages, ids of its first negatives)."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for number, parts in table_rows(path, (3, 4), problems, separator=None):
        if len(parts) == 4:
            query, _, positive, grade = parts
            negative = None
            try:
                if int(grade) < 1:
                    continue
            except ValueError:
                problems.add(path, number, f"relevance {grade!r} is not a whole number")
                continue
        else:
            query, positive, negative = parts
        if query not in found:
            if max_groups is not None and len(found) == max_groups:
                continue
            found[query] = ([], [])
        positives, others = found[query]
        if positive not in positives:
            positives.append(positive)
        if negative is not None and len(others) < negatives and negative not in others:
            others.append(negative)
    if not found and not problems.count:
        problems.add(path, None, "no relevant passage for any query")
    return found


def _texts(path: Path, wanted: Container[str], problems: Problems) -> dict[str, tuple[int, str]]:
    """Return id -> (line number, text) for the wanted ids."""
    return {parts[0]: (number, parts[1]) for number, parts in table_rows(path, 2, problems) if parts[0] in wanted}
