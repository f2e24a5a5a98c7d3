"""A tiny collection in MIRACL's original layout."""

import gzip
import json

LANGS = ("sw", "th", "yo")
SIZES = {"sw": 70, "th": 45, "yo": 25}


def texts(lang):
    """Passages 'N#0' with a number as text; document ids are the same in all languages."""
    return [{"docid": f"{n}#0", "title": f"{lang} {n}", "text": f"passage {n}"} for n in range(SIZES[lang])]


def judgements(lang):
    """Query n has the relevant passages n and n + 10 and one judged negative; query 9 has no relevant passage."""
    for n in range(9):
        yield from ((n, n, 1), (n, n + 10, 1), (n, n + 11, 0))
    yield 9, 3, 0


def original(folder):
    """Write the files in MIRACL's original layout."""
    for lang in LANGS:
        home, corpus = folder / f"miracl-v1.0-{lang}", folder / f"miracl-corpus-v1.0-{lang}"
        (home / "topics").mkdir(parents=True)
        (home / "qrels").mkdir()
        corpus.mkdir()
        topics = "".join(f"{n}\tquestion {n}\n" for n in range(10))
        (home / "topics" / f"topics.miracl-v1.0-{lang}-dev.tsv").write_text(topics)
        qrels = "".join(f"{q}\tQ0\t{p}#0\t{grade}\n" for q, p, grade in judgements(lang))
        (home / "qrels" / f"qrels.miracl-v1.0-{lang}-dev.tsv").write_text(qrels)
        documents = texts(lang)
        for part, chunk in enumerate((documents[:20], documents[20:])):
            content = "".join(json.dumps(document) + "\n" for document in chunk).encode()
            (corpus / f"docs-{part}.jsonl.gz").write_bytes(gzip.compress(content))
    return folder
