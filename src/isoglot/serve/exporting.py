"""Export of results: CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from isoglot.search.hit import Hit
from isoglot.serve.cleaning import plain, shown
from isoglot.serve.page_request import ListChoice, PageRequest
from isoglot.serve.search_response import result

COLUMNS = (
    "list", "rank", "score", "lang", "title", "text", "id", "document", "source", "index", "mode", "fair", "feedback",
    "rerank",
)  # fmt: skip
# Spreadsheets treat full-width signs like the ASCII ones, and skip blanks before them. Where their separator is a
# semicolon (in German or French, for instance), cells also begin after semicolons and line ends within a text.
_FORMULA = re.compile(r"\A(?=[\t\r\n])|(?:\A|(?<=[;\t\r\n]))(?=[^\S\t\r\n]*[=+\-@＝＋－＠])")


@dataclass(frozen=True)
class Found:
    """A list of results and the request it belongs to."""

    asked: PageRequest
    choice: ListChoice
    hits: Sequence[Hit]


def as_csv(lists: Sequence[Found]) -> str:
    """Return CSV (RFC 4180) with a row per result, one list after the other.

    It begins with a byte order mark, without which spreadsheets assume another encoding. A text that a spreadsheet
    would run as a formula gets an apostrophe before the sign, since documents are not trusted.
    """
    text = StringIO(newline="")
    text.write("\ufeff")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for number, found in enumerate(lists, 1):
        choice = found.choice
        for rank, hit in enumerate(found.hits, 1 + found.asked.offset):
            words = (hit.lang, hit.title, hit.text, hit.id, hit.document, hit.source, choice.index)
            how = (choice.mode, choice.fair, "on" if choice.searched_twice else "off", choice.reranker or "")
            table.writerow([number, rank, float(hit.score), *map(_cell, words), *how])
    return text.getvalue()


def as_json(lists: Sequence[Found]) -> str:
    """Return JSON with each result as the API returns it, list by list."""
    content = [
        {
            "query": found.asked.query,
            "index": found.choice.index,
            "mode": found.choice.mode,
            "fair": found.choice.fair,
            "feedback": found.choice.searched_twice,
            "rerank": found.choice.reranker,
            "langs": list(found.asked.langs),
            "where": found.asked.where or None,
            "offset": found.asked.offset,
            "hits": [
                result(rank, hit).model_dump(exclude={"also", "snippet", "neighbours"})
                for rank, hit in enumerate(found.hits, 1 + found.asked.offset)
            ],
        }
        for found in lists
    ]
    return json.dumps({"lists": plain(content)}, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _cell(text: str) -> str:
    return _FORMULA.sub("'", shown(text))
