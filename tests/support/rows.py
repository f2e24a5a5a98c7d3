"""Tiny parallel rows."""

import json

from isoglot.data.row_table import RowTable

# Question and passage; {n} is the number of the group.
TEMPLATES = {
    "ar": ("ما ارتفاع الجبل رقم {n}؟", "يبلغ ارتفاع الجبل رقم {n} نحو {m} متر."),
    "de": ("Wie hoch ist der Berg Nummer {n}?", "Der Berg Nummer {n} ist {m} Meter hoch."),
    "en": ("How high is mountain number {n}?", "Mountain number {n} is {m} metres high."),
    "hi": ("पर्वत संख्या {n} कितना ऊँचा है?", "पर्वत संख्या {n} की ऊँचाई {m} मीटर है।"),
    "zh": ("第{n}座山有多高？", "第{n}座山高{m}米。"),
}


def parallel_rows(groups=24, langs=("de", "en", "hi", "zh"), dataset="wiki", first=0):
    """Complete rows as dicts: `groups` groups in every language, numbered from `first`."""
    return [
        {
            "group": f"{dataset}-{n}",
            "lang": lang,
            "query": TEMPLATES[lang][0].format(n=n),
            "passage": TEMPLATES[lang][1].format(n=n, m=100 + 37 * n),
            "dataset": dataset,
        }
        for n in range(first, first + groups)
        for lang in langs
    ]


def write_jsonl(path, rows):
    """Write dicts as JSONL and return the path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_rows(path, groups=24, langs=("de", "en", "hi", "zh"), **more):
    """Write a rows file with every group in every language; `more` are further fields as functions of (n, lang)."""
    rows = [
        {
            "group": f"g{n}",
            "lang": lang,
            "query": TEMPLATES[lang][0].format(n=n),
            "passage": TEMPLATES[lang][1].format(n=n, m=100 + 37 * n),
            **{key: make(n, lang) for key, make in more.items()},
        }
        for n in range(groups)
        for lang in langs
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def table_of(rows):
    """The table of rows given as (dataset, group, lang, text)."""
    datasets, groups, langs, texts = map(list, zip(*rows, strict=True))
    return RowTable.from_columns(groups, langs, texts, datasets)
