import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.documents import find_sources, finding, read_documents, read_files
from isoglot.documents.html import html_page
from isoglot.documents.markdown import markdown_page
from isoglot.documents.splitting import shorten, split
from isoglot.languages.detection import detect


def read(*paths):
    problems = Problems()
    return list(read_documents(find_sources(list(paths)), problems)), problems


def pdf(text, lang=None):
    """A minimal one-page PDF."""
    stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R" + (f" /Lang ({lang})".encode() if lang else b"") + b" >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def test_records_of_all_kinds_say_the_same(tmp_path):
    record = {"id": "q1", "title": "Berge", "text": "Der Ararat ist hoch.", "lang": "de", "year": "1999"}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n\n", encoding="utf-8")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt", encoding="utf-8") as out:
        out.write(json.dumps(record))
    (tmp_path / "c.csv").write_text(",".join(record) + "\n" + ",".join(record.values()) + "\n", encoding="utf-8-sig")
    (tmp_path / "d.tsv").write_text("\t".join(record) + "\n" + "\t".join(record.values()) + "\n", encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([record]), tmp_path / "e.parquet")
    documents, problems = read(tmp_path)
    assert len(documents) == 5
    assert not problems.count
    for document in documents:
        assert (document.id, document.title, document.text, document.lang) == (
            "q1",
            "Berge",
            "Der Ararat ist hoch.",
            "de",
        )
        assert document.metadata == {"year": "1999"}
    assert documents[-1].done == sum(path.stat().st_size for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz", "d.csv", "d.parquet"])
def test_bytes_read_grow_to_those_of_all_files(tmp_path, name):
    records = [{"text": f"{n} {n**9:x}"} for n in range(40_000)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    if name == "d.parquet":
        pq.write_table(pa.Table.from_pylist(records), tmp_path / name)
    elif name == "d.csv":
        (tmp_path / name).write_text("text\n" + "".join(f"{record['text']}\n" for record in records), encoding="utf-8")
    else:
        (tmp_path / name).write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    (tmp_path / "b.txt").write_text("first", encoding="utf-8")
    documents, _ = read(tmp_path / "b.txt", tmp_path / name)
    done = [document.done for document in documents]
    total = (tmp_path / name).stat().st_size
    assert done == sorted(done)
    assert done[0] == 5
    assert 5 + 0.3 * total < done[20_000] < 5 + 0.7 * total
    assert 5 + 0.99 * total < done[-1] <= 5 + total


def test_beir_folder_gives_its_corpus_only(tmp_path):
    (tmp_path / "corpus.jsonl").write_text(
        json.dumps({"_id": "d1", "title": "", "text": "Text", "metadata": {"lang": "sw"}}), encoding="utf-8"
    )
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Query"}), encoding="utf-8")
    documents, _ = read(tmp_path)
    assert [(document.id, document.lang) for document in documents] == [("d1", "sw")]


def test_files_are_one_document_each(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfHallo")
    (tmp_path / "sub" / "b.md").write_text("---\ntitle: Titel\nlang: de\n---\n# Kopf\n\nEin *Satz*.", encoding="utf-8")
    (tmp_path / "sub" / "c.html").write_text(
        "<html lang='fr-CA'><title>T &amp; U</title><style>x{}</style><body><script>evil()</script>"
        "<p>Un</p><p>Deux<br>trois</p></body></html>",
        encoding="utf-8",
    )
    (tmp_path / "d.pdf").write_bytes(pdf("Hello from a page", "en-GB"))
    (tmp_path / "ignored.bin").write_bytes(b"\0")
    documents, problems = read(tmp_path)
    assert not problems.count
    assert [(d.id, d.title, d.text, d.lang) for d in documents] == [
        ("a.txt", "a", "Hallo", None),
        ("d.pdf", "d", "Hello from a page", "en"),
        ("sub/b.md", "Titel", "Kopf\n\nEin Satz.", "de"),
        ("sub/c.html", "T & U", "Un\n\nDeux\ntrois", "fr"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "title", "text"),
    [
        ("a.md", "# Tides\n\nThe *sea* rises.\n\n## Tides\n\nMore.", "Tides", "The sea rises.\n\nTides\n\nMore."),
        ("a.md", "---\ntitle: High  tides\n---\nHigh\ntides\n===\n\nThe sea.", "High  tides", "The sea."),
        ("a.md", "---\ntitle: Tides\n---\n# Of the sea\n\nIt rises.", "Tides", "Of the sea\n\nIt rises."),
        ("a.md", "# Tides", "Tides", "Tides"),
        ("a.md", "Tides\n\nThe sea.", "a", "Tides\n\nThe sea."),
        ("a.html", "<title>Tides</title><h1>Tides</h1><p>The sea.", "Tides", "The sea."),
        ("a.rst", "Tides\n=====\n\nThe sea.", "Tides", "The sea."),
    ],
)
def test_a_title_is_not_said_twice(tmp_path, name, content, title, text):
    (tmp_path / name).write_text(content, encoding="utf-8")
    ((document,), problems) = read(tmp_path)
    assert (document.title, document.text, problems.shown) == (title, text, [])


def test_mixed_encodings_and_control_characters(tmp_path):
    text = "Größe und Übermut: Äpfel, Öl, Straße. " * 20
    for name, encoding in (("a", "utf-8"), ("b", "utf-16"), ("c", "cp1252"), ("e", "utf-16-le"), ("f", "utf-16-be")):
        (tmp_path / f"{name}.txt").write_bytes(text.encode(encoding))
    (tmp_path / "d.jsonl").write_text('{"text": "a\\u0000b \\ud800 c"}', encoding="utf-8")
    documents, problems = read(tmp_path)
    assert not problems.count
    assert [document.text for document in documents if document.source != "d.jsonl:1"] == [text.strip()] * 5
    assert documents[3].text == "a b   c"


def test_what_cannot_be_read_is_told_and_passed_over(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 broken")
    (tmp_path / "b.pdf").write_bytes(pdf(""))
    (tmp_path / "c.jsonl").write_bytes(
        b'{"text": "good", "lang": "??"}\n{"text": 3}\n[1]\n{"text": "x"\n{"text": "\xff"}\n'
        b'{"text": ' + b"9" * 5000 + b"}\n"
    )
    (tmp_path / "d.parquet").write_bytes(b"PAR1")
    (tmp_path / "e.csv").write_bytes(b"text\ngut\n\xff\n")
    (tmp_path / "f.jsonl.gz").write_bytes(b"\x1f\x8bbroken")
    documents, problems = read(tmp_path)
    assert documents[0].text == "good"
    assert documents[0].lang is None
    told = "\n".join(problems.shown)
    for part in (
        "a.pdf: not a readable PDF",
        "b.pdf: the PDF holds no text",
        "c.jsonl:1: language '??'",
        "c.jsonl:2: no text",
        "c.jsonl:3: expected an object",
        "c.jsonl:4: not a JSON object",
        "c.jsonl:5: not UTF-8",
        "c.jsonl:6: not a JSON object",
        "d.parquet: not a readable Parquet file",
        "e.csv: not UTF-8",
        "f.jsonl.gz: cannot be read",
    ):
        assert part in told


def test_inputs_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="no file to index"):
        find_sources([tmp_path])
    with pytest.raises(InputError, match="no such file"):
        find_sources([tmp_path / "none"])
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(InputError, match="not a kind of file"):
        find_sources([tmp_path / "x.bin"])


def test_links_to_folders_are_told_unless_what_they_lead_to_is_read(tmp_path):
    for name in ("docs", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"Ein Text in {name}.", encoding="utf-8")
    for link, target in (("common", "../shared"), ("latest", "."), ("up", "..")):
        (tmp_path / "docs" / link).symlink_to(target, target_is_directory=True)
    problems = Problems()
    assert [source.name for source in find_sources(tmp_path / "docs", problems)] == ["a.txt"]
    assert problems.count == 2  # what "latest" leads to is read anyway
    assert f"common: a link to the folder {tmp_path / 'shared'}, which is not followed" in problems.shown[0]
    problems = Problems()
    assert len(find_sources([tmp_path / "docs", tmp_path / "shared"], problems)) == 2
    assert [told.partition(": ")[0] for told in problems.shown] == [str(tmp_path / "docs" / "up")]


def test_links_that_lead_out_of_what_is_indexed_are_told_and_not_read(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "private.txt").write_text("Ein Geheimnis.", encoding="utf-8")
    (tmp_path / "docs" / "a.txt").write_text("Ein Text.", encoding="utf-8")
    for link, target in (("b.txt", "a.txt"), ("c.txt", "../private.txt"), ("environ.txt", "/proc/self/environ")):
        (tmp_path / "docs" / link).symlink_to(target)
    problems = Problems()
    assert [document.text for document in read_files(tmp_path / "docs", problems)] == ["Ein Text."]
    leads = f"{tmp_path / 'docs' / 'c.txt'}: a link to {tmp_path / 'private.txt'}, outside of what is indexed"
    assert problems.shown[0].startswith(leads)
    assert problems.count == 2
    for named in (tmp_path / "private.txt", tmp_path / "docs" / "c.txt"):
        found = {document.text for document in read_files([tmp_path / "docs", named], Problems())}
        assert found == {"Ein Text.", "Ein Geheimnis."}


def test_links_that_lead_in_a_circle_are_told(tmp_path):
    (tmp_path / "a.txt").write_text("Ein Text.", encoding="utf-8")
    for link, target in (("self.txt", "self.txt"), ("there", "back"), ("back", "there")):
        (tmp_path / link).symlink_to(target)
    problems = Problems()
    assert [document.text for document in read_files(tmp_path, problems)] == ["Ein Text."]
    told = [f"{tmp_path / name}: cannot be read (a broken link" for name in ("back", "self.txt", "there")]
    assert [shown.partition(",")[0] for shown in problems.shown] == told


def test_files_that_are_removed_while_a_folder_is_listed_are_passed_over(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"Ein Text {name}.", encoding="utf-8")
    listed = finding._folder

    def then_removed(*args):
        yield from listed(*args)
        (tmp_path / "a.txt").unlink()

    monkeypatch.setattr(finding, "_folder", then_removed)
    problems = Problems()
    assert [source.name for source in find_sources(tmp_path, problems)] == ["b.txt"]
    assert problems.shown == [f"{tmp_path / 'a.txt'}: cannot be read (it was removed a moment ago)"]


def test_markup():
    assert markdown_page("A\nB\n\n```\ncode\n```\n\n| x | y |\n|---|---|\n| 1 | 2 |").text == (
        "A\nB\n\ncode\n\nx\n\ny\n\n1\n\n2"
    )
    assert html_page("").text == ""
    assert html_page("<p>a<p>b").text == "a\n\nb"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>を読む", "漢字を読む"),
        ("Wort<a epub:type=noteref href=n>1</a>, zwei<sup class=footnote-ref><a href=b>2</a></sup>.", "Wort, zwei."),
        ('<a role="doc-noteref" href="#c">3</a>Ende.<a role="doc-backlink" href="#d">↩</a>', "Ende."),
        ("x<sup>2</sup>", "x2"),
    ],
)
def test_readings_and_numbers_of_notes_do_not_part_or_lengthen_words(markup, text):
    assert html_page(f"<p>{markup}</p>").text == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (
            "<header><a href='/'>Hafen</a></header><nav>Menü</nav><p>Ebbe.</p><nav><p>Weiter</nav><footer>© 1</footer>",
            "Ebbe.",
        ),
        ("<div role=navigation>Zurück</div><p>Ebbe.<div role=contentinfo>© 1</div>", "Ebbe."),
        ("<div class=navheader><table><tr><td>Zurück</table></div><p>Ebbe.", "Ebbe."),
        ("<header><h1>Hafen</h1><p>Heute</p></header><p>Ebbe.", "Hafen\n\nHeute\n\nEbbe."),
        (
            "<article><header>Ada</header><p>Ebbe.</p><footer>Frei.</footer></article><footer>© 1</footer>",
            "Ada\n\nEbbe.\n\nFrei.",
        ),
        ("<blockquote>Ebbe.<footer>Ada</footer></blockquote>", "Ebbe.\n\nAda"),
        ("<nav><a href='a'>Ebbe</a></nav>", "Ebbe"),
    ],
)
def test_what_is_around_every_page_is_left_out(markup, text):
    assert html_page(f"<body>{markup}</body>").text == text


XHTML = '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head>{}</head><body>{}</body></html>'


@pytest.mark.parametrize(
    "head", ["<title/>", '<title>T</title><script type="text/javascript" src="a.js"/>', "<style />"]
)
def test_empty_elements_of_xhtml_end_at_once(head):
    assert html_page(XHTML.format(head, "<p>Ein Satz.</p>")).text == "Ein Satz."
    assert html_page(XHTML.format(head, "<p>Eins<br/>zwei<img src='a.png'/></p>")).text == "Eins\nzwei"


def test_an_empty_anchor_of_xhtml_names_its_own_heading_only():
    body = '<h2><a id="eins"/>Eins</h2><p>a</p><h2>Zwei</h2><pre class="leer"/><p>b</p>'
    assert [(block.text, block.ident, block.prose) for block in html_page(XHTML.format("", body)).blocks] == [
        ("Eins", "eins", True),
        ("a", "", True),
        ("Zwei", "", True),
        ("b", "", True),
    ]


def words(texts):
    """A tokenizer whose tokens are characters that are not blank."""
    return [[(n, n + 1) for n, char in enumerate(text) if not char.isspace()] for text in texts]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("de", "Eins zwei. Drei vier. Fünf.", ["Eins zwei. Drei vier.", "Fünf."]),
        ("de", "kurz", ["kurz"]),
        (
            "zh",
            "北京是中国的首都。上海是最大的城市。广州在南方。",
            ["北京是中国的首都。上海是最大的城市。", "广州在南方。"],
        ),
        ("th", "สวัสดีครับผมชื่อ จอห์นเป็นคนไทยครับ", ["สวัสดีครับผมชื่อ", "จอห์นเป็นคนไทยครับ"]),
        ("und", "abcdefghij" * 5, ["abcdefghijabcdefgh", "ijabcdefghijabcdef", "ghijabcdefghij"]),
    ],
)
def test_split_at_sentences_then_blanks_then_tokens(lang, text, expected):
    assert split(text, lang, spans=words, tokens=18) == expected


def test_split_loses_nothing():
    text = " ".join(f"Satz {n} hat{' lange' * (n % 9)} Wörter." for n in range(60))
    parts = split(text, "de", spans=words, tokens=40)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(len(words([part])[0]) <= 40 for part in parts)


def test_long_titles_are_cut_to_a_quarter():
    assert shorten("abcdefghij", spans=words, tokens=16) == "abcd"
    assert shorten("abcd", spans=words, tokens=16) == "abcd"


def test_detection_says_und_when_unsure():
    assert detect("Der Hund schläft heute lange in der Sonne.") == "de"
    assert detect("北京是中华人民共和国的首都") == "zh"
    assert detect("12345 !!!") == "und"
    assert detect("ok") == "und"
    assert detect("Wie hoch ist der Berg?", ["en", "de"]) == "de"
    assert detect("Hallo", ["xx"]) == "und"


def test_metadata_that_nests_too_deeply_is_told_and_passed_over(tmp_path):
    def nested(levels):
        return '{"a":' * levels + "1" + "}" * levels

    path = tmp_path / "deep.jsonl"
    path.write_text("".join(f'{{"id": "{n}", "text": "t", "more": {nested(n)}}}\n' for n in (1, 90, 300, 600)))
    problems = Problems()
    assert [document.id for document in read_documents(find_sources([path], problems), problems)] == ["1", "90"]
    assert "deep.jsonl:3: objects nested more than 100 deep" in str(problems.shown)
