"""Fuzz all readers with damaged and random files: each must yield documents or report problems, and never crash.

    python performance/fuzz_readers.py              # 100,000 inputs, some minutes on one core
    python performance/fuzz_readers.py --quick      # 2,000 inputs
    python performance/fuzz_readers.py --inputs 2000 --seed 7

70 % of the inputs are samples of each kind with bytes changed, deleted or duplicated, outside or inside their
compression; the others are concatenations of pieces that have a meaning in some format. Prints, for each kind, how many
inputs yielded documents and how many were skipped.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import random
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

from isoglot.core.problems import Problems
from isoglot.documents import find_sources, read_documents
from isoglot.documents.kinds import kinds

FILES = Path(__file__).parent.parent / "tests" / "documents" / "files"
MARKDOWN = """---
title: >
  Ein
  Titel
lang: de
---
# Kopf {#id}

!!! note "x"
    Text *a* [b](c)

| a | b |
|---|---|
| 1 | 2 |
"""
TEXTS = {
    ".jsonl": '{"id": "a", "text": "Ein Satz.", "lang": "de", "title": "T", "metadata": {"x": [1]}}\n{"text": "b"}\n',
    ".json": '[{"id": 1, "text": "Ein Satz."}, {"documents": [{"text": "b"}]}]',
    ".csv": 'id,lang,text\n1,de,"Ein ""Satz"", lang"\n2,fr,Deux\n',
    ".tsv": 'id\tlang\ttext\n1\tde\t"Ein ""Satz"""\n',
    ".md": MARKDOWN,
    ".markdown": '+++\ntitle = "T"\n+++\nText {{< x text="y" >}}\n\n```\ncode\n```\n<div>html</div>\n',
    ".txt": "Ein Satz.\r\nНочь. 図書館は\r",
    ".html": "<html lang=de><head><meta charset=utf-8><title>T</title></head><body><h1 id=a>K</h1><pre>x</pre><p>T<br>",
    ".rst": ".. _z:\n\nTitel\n=====\n\n:ref:`x <y>`\n\n.. note:: a\n\n.. deprecated:: 1\n   b\n\n+--+\n|a |\n+--+\n",
}
PIECES = [
    *(
        "---\n",
        "+++\n",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        ",",
        ";",
        "\t",
        "|",
        "\n",
        "\r",
        "\0",
        "\ufeff",
        "\\u0000",
        "&x;",
    ),
    *("<", ">", "</p>", "<!DOCTYPE a [<!ENTITY x 'y'>]>", "<?xml version='1.0'?>", "#", "{#id}", "```", "> ", "- "),
    *(
        "\\'",
        "\\u-1?",
        "{\\rtf1",
        "\\bin9",
        "%PDF-1.4",
        "PK\x03\x04",
        "text",
        "id",
        "title: ",
        "&a",
        "*a",
        "!!python/x 1",
    ),
    *(
        "1e999",
        "9" * 5000,
        "null",
        "\ud800",
        "é",
        "漢",
        "ب",
        "̈",
        " ",
        "    ",
        ":::",
        "{{<",
        ">}}",
        "====",
        "|---|",
        ".. x::",
    ),
]


def samples() -> dict[str, list[bytes]]:
    """Sample files of each kind to damage."""
    found = {kind: [text.encode()] for kind, text in TEXTS.items()}
    for path in FILES.iterdir():
        ending = next((kind for kind in kinds() if path.name.endswith(kind)), None)
        if ending is not None and path.name != "README.md":
            found.setdefault(ending, []).append(path.read_bytes())
    found[".parquet"] = [_parquet()]
    for kind in kinds():
        like = kind.removesuffix(".gz")
        alias = {
            ".ndjson": ".jsonl",
            ".mdx": ".md",
            ".htm": ".html",
            ".xhtml": ".html",
            ".dbk": ".xml",
            ".docbook": ".xml",
            ".tei": ".xml",
        }.get(like, like)
        found.setdefault(kind, found[alias] if kind == like else [gzip.compress(data) for data in found[alias]])
    return found


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to eight random changes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at, to = sorted((rng.randrange(len(out) + 1), rng.randrange(len(out) + 1)))
        change = rng.randrange(6)
        if change == 0 and out:
            out[at % len(out)] = rng.randrange(256)
        elif change == 1:
            del out[at : min(to, at + 50)]
        elif change == 2:
            out[at:at] = out[at : min(to, at + 200)]
        elif change == 3:
            out[at:at] = rng.choice(PIECES).encode(errors="surrogatepass")
        elif change == 4 and rng.random() < 0.3:
            del out[at:]
        else:
            out[at:at] = rng.randbytes(rng.randint(1, 8))
    return bytes(out)


def damaged_file(data: bytes, rng: random.Random) -> bytes:
    """A file damaged directly or, if it is compressed, inside."""
    if rng.random() < 0.3:
        return damaged(data, rng)
    if data.startswith(b"\x1f\x8b"):
        return gzip.compress(damaged(gzip.decompress(data), rng))
    if not data.startswith(b"PK"):
        return damaged(data, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        victim = rng.choice([name for name in old.namelist() if name.endswith(("xml", "rels", "opf", "html"))])
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, damaged(content, rng) if name == victim else content)
    return out.getvalue()


def made_up(rng: random.Random) -> bytes:
    """A concatenation of random pieces in a random encoding."""
    text = "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 30)))
    encoding = rng.choice(["utf-8", "utf-8", "utf-16", "utf-16-le", "cp1252", "gb18030", "iso2022_jp"])
    return text.encode(encoding, errors="replace")


def fuzz(inputs: int, seed: int, seconds: float = float("inf")) -> tuple[Counter[str], list[str]]:
    """Read some inputs (or as many as time allows); return counts of outcomes, and a traceback for each crash."""
    rng, seen, crashes = random.Random(seed), Counter[str](), []
    base, endings = samples(), kinds()
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as home:
        for number in range(inputs):
            if time.monotonic() > until:
                break
            kind = endings[number % len(endings)]
            data = damaged_file(rng.choice(base[kind]), rng) if rng.random() < 0.7 else made_up(rng)
            path = Path(home) / f"f{kind}"
            path.write_bytes(data)
            problems = Problems()
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    documents = list(read_documents(find_sources([path]), problems))
                json.dumps([[d.id, d.title, d.text, d.source] for d in documents], ensure_ascii=False).encode()
                seen[f"{kind} {'read' if documents else 'passed over'}"] += 1
            except Exception:  # noqa: BLE001 - this is what we look for
                crashes.append(f"{kind}, input {number} of seed {seed}: {data[:300]!r}\n{traceback.format_exc()}")
    return seen, crashes


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"id": "a", "text": "Ein Satz.", "n": [1]}, {"id": "b", "text": "Zwei"}]), out)
    return out.getvalue()


def main() -> int:
    """Fuzz and report; return 3 after a crash."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 inputs")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    given = parser.parse_args()
    started = time.monotonic()
    seen, crashes = fuzz(2000 if given.quick else given.inputs, given.seed, given.seconds)
    for what, count in sorted(seen.items()):
        print(f"{what:<28} {count:>8}")
    for crash in crashes[:10]:
        print(crash)
    done = sum(seen.values()) + len(crashes)
    print(f"{done} inputs, {len(crashes)} crashes, {time.monotonic() - started:.0f} s")
    return 3 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
