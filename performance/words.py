"""Lexical retrieval by terms: isoglot's, the same without beginnings of words, and words segmented by ICU.

    python performance/words.py
    python performance/words.py --quick     # about a hundred queries of each language
    python performance/words.py --lareqa xquad-r mlqa-r --pages fastapi-docs/docs

BM25 in LanceDB, one language at a time: the query is a question and the answer its paragraph, or a heading and the text
under it. Prints MRR, and how many queries do not find theirs among the first 100 (`in vain`).
"""

import re
import tempfile
from pathlib import Path

import harness
import lancedb
import pyarrow as pa
from lancedb.index import FTS
from lancedb.query import MultiMatchQuery

from isoglot.data.benchmarks.lareqa import read_lareqa
from isoglot.languages import normal_code
from isoglot.languages.normal_form import search_form
from isoglot.languages.words import search_terms

DEPTH = 100
LEAST = 80  # characters of text under a heading
_SECTION = re.compile(r"^#+ +", re.MULTILINE)
_MARKUP = re.compile(r"\]\([^)]*\)|\{[^}]*\}|[*_\[\]`]")
WAYS = {
    "ICU": ("icu", search_form),
    "words": ("whitespace", lambda text: " ".join(search_terms(search_form(text), beginnings=False, signs=False))),
    "terms": ("whitespace", lambda text: " ".join(search_terms(search_form(text)))),
}


def atlas():
    """Yield (collection, language, query, passage) of the embedded corpus."""
    for row in harness.atlas_rows():
        yield "atlas", row["lang"], row["query"], row["passage"]


def questions(folder):
    """Yield the same for a folder in LAReQA's layout: questions, and the paragraphs with their answers."""
    for lang, _, asked in read_lareqa(folder):
        for question in asked:
            yield folder.name, lang, question.text, question.gold.context


def pages(folder):
    """Yield the same for Markdown files in LANG/ folders: headings, and the text under them without code."""
    for name, code, page in harness.markdown_pages(folder):
        for part in _SECTION.split(page)[1:]:
            heading, _, text = _MARKUP.sub("", part).partition("\n")
            if any(map(str.isalpha, heading)) and len(text.strip()) >= LEAST:
                yield name, normal_code(code), heading, text


def ranks(way, pairs):
    """Yield the rank of each query's passage, infinite beyond `DEPTH`."""
    passages = list(dict.fromkeys(passage for _, passage in pairs))
    place = {passage: number for number, passage in enumerate(passages)}
    tokenizer, form = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        columns = {"id": range(len(passages)), "words": [form(passage) for passage in passages]}
        table = lancedb.connect(folder).create_table("t", pa.table({name: pa.array(c) for name, c in columns.items()}))
        config = FTS(
            base_tokenizer=tokenizer, lower_case=False, ascii_folding=False, stem=False, remove_stop_words=False,
            max_token_length=None,
        )  # fmt: skip
        table.create_index("words", config=config)
        for query, passage in pairs:
            search = table.search(MultiMatchQuery(form(query), ["words"]), query_type="fts").limit(DEPTH)
            found = search.to_arrow()["id"].to_pylist()
            yield found.index(place[passage]) + 1 if place[passage] in found else float("inf")


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("--lareqa", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--pages", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--langs", help="comma-separated; all by default")
    given = parser.parse_args()
    sets = {}
    for source in (atlas(), *map(questions, given.lareqa), *map(pages, given.pages)):
        for name, lang, query, passage in source:
            if not given.langs or lang in given.langs.split(","):
                sets.setdefault((name, lang), []).append((query, passage))
    titles = [f"{figure} {way}" for figure in ("MRR", "in vain") for way in WAYS]
    print(f"| | language | queries | {' | '.join(titles)} |\n{'|---' * (3 + len(titles))}|")
    record = {}
    for (name, lang), every in sets.items():
        pairs = every[:: max(1, len(every) // 100)] if given.quick else every
        found = [list(ranks(way, pairs)) for way in WAYS]
        mrr = [sum(1 / rank for rank in own) / len(own) for own in found]
        vain = [sum(rank == float("inf") for rank in own) for own in found]
        cells = [*(f"{value:.3f}" for value in mrr), *map(str, vain)]
        print(f"| {name} | {lang} | {len(pairs)} | {' | '.join(cells)} |", flush=True)
        record[f"{name} / {lang}"] = {"queries": len(pairs), "mrr": mrr, "in_vain": vain}
    harness.finish([], record, given.json)


if __name__ == "__main__":
    main()
