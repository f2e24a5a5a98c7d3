import json
from pathlib import Path

import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.curation.translated_pages.building import rows_from_docs
from isoglot.curation.translated_pages.layouts import parse_layout
from isoglot.curation.translated_pages.rows import DocsSettings
from isoglot.curation.translated_pages.splitting import split_pages
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row, read_rows
from support.chat import chat_server

SHARED = Path(__file__).parents[4] / "shared" / "data" / "fastapi-docs"
LONG = {
    "en": "The sluice keeper opens the gate at dawn and closes it when the barges have passed. ",
    "de": "Der Schleusenwärter öffnet das Tor bei Sonnenaufgang und schließt es nach den Kähnen. ",
    "fr": "L'éclusier ouvre la porte à l'aube et la referme lorsque les péniches sont passées. ",
}


def page(lang, *sections, title="Sluice"):
    parts = [f"# {title} {lang}"]
    for number, (heading, ident) in enumerate(sections):
        name = f" {{#{ident}}}" if ident else ""
        parts += [f"## {heading} {lang}{name}", LONG[lang] * 2 + f"{number} {heading} {title}"]
    return "\n\n".join(parts)


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def build(folder, **settings):
    return rows_from_docs(folder, DocsSettings(**settings), cut=lambda text, lang: text[:60])


def test_rows_of_sections(tmp_path):
    both = [("Gate", "gate"), ("Barges", "barges")]
    other = {f"docs/{lang}/{lang}.md": page(lang, title="Other") for lang in ("en", "de")}
    write(tmp_path, {"docs/en/a/x.md": page("en", *both), "docs/de/a/x.md": page("de", *both), **other})
    found = build(tmp_path, layouts=(parse_layout("docs/{lang}/{path}"),))
    assert {(row.group, row.lang) for row in found.rows} == {
        (f"a/x#{name}", lang) for name in ("gate", "barges") for lang in ("en", "de")
    }
    row = next(row for row in found.rows if (row.group, row.lang) == ("a/x#barges", "de"))
    assert (row.query, row.topic, row.dataset) == ("Sluice de: Barges de", "a", "docs")
    assert row.context.startswith(row.passage)
    assert len(row.passage) == 60 < len(row.context)
    aligned, left_out = found.counts()
    assert aligned == {"pivot": 2, "identifier": 2}
    assert left_out == {
        "little or no prose": 2,
        "page in one language only": 2,
    }  # the pages' own headings, with nothing below


def test_what_is_left_out_has_a_reason(tmp_path):
    files = {
        "en/old.md": page("en", ("Gate", "gate"), ("New", "new"), ("Copied", "copied")),
        "de/old.md": page("de", ("Gate", "gate"), ("Gone", "gone")) + f"\n\n## Copied {{#copied}}\n\n{LONG['en'] * 2}",
        "fr/old.md": page("fr", ("Gate", "gate")) + f"\n\n## Neuf {{#new}}\n\n{LONG['de'] * 3}",
        "fr/alone.md": page("fr", ("Gate", "gate"), title="Seul"),
        "de/empty.md": "",
        "en/empty.md": page("en", ("Gate", "gate"), title="Empty"),
        "notes.md": "# Notes",
    }
    found = build(write(tmp_path, files))
    assert {row.group for row in found.rows} == {"old#gate"}
    reasons = {(entry.lang, entry.section): entry.left_out for entry in found.outcomes if entry.page == "old"}
    assert reasons["de", "gone"] == "in no other language"
    assert reasons["de", "Copied"] == "not translated: the en text"
    assert reasons["fr", "Neuf"] == "in another language"
    assert reasons["en", "new"] == "in no other language"
    others = {entry.page: entry.left_out for entry in found.outcomes if entry.page != "old"}
    assert others["alone"] == others["empty"] == "page in one language only"
    assert others["de/empty.md"] == "no text"


def test_a_passage_whose_paragraphs_are_mostly_the_originals_is_not_translated(tmp_path):
    """Catalogues are often translated in part: what nobody translated yet is there in the original's language."""
    first, second = LONG["en"] + "One.", "The bridge is closed in winter, when ice drifts down the river. "
    last = {"en": LONG["en"] * 3, "de": LONG["de"] * 3}
    half = {lang: f"\n\n## Half {{#half}}\n\n{second}\n\n{last[lang]}" for lang in last}
    start = {lang: f"\n\n## Start {{#start}}\n\n{first}\n\n{last[lang]}" for lang in last}
    files = {f"{lang}/x.md": page(lang, ("Gate", "gate")) + half[lang] + start[lang] for lang in last}
    found = rows_from_docs(write(tmp_path, files), DocsSettings(), cut=lambda text, lang: text[:140])
    assert {row.group for row in found.rows} == {"x#gate", "x#half"}
    reasons = {(entry.lang, entry.section): entry.left_out for entry in found.outcomes}
    assert reasons["de", "Start"] == "not translated: mostly the en text"


def test_the_language_is_that_of_the_passage_rather_than_of_the_whole_section(tmp_path):
    """The passage is the section's beginning, here an older original than the one it stands beside."""
    russian = "Смотритель шлюза открывает ворота на рассвете и закрывает их, когда пройдут все баржи. " * 3
    older = "In former years the gates of this sluice were opened by hand, which took the keeper half an hour."
    files = {
        "en/x.md": page("en", ("Gate", "gate"), ("Old", "old")),
        "ru/x.md": f"# Шлюз\n\n## Ворота {{#gate}}\n\n{russian}\n\n## Раньше {{#old}}\n\n{older}\n\n{russian}",
    }
    found = build(write(tmp_path, files))
    assert {row.group for row in found.rows} == {"x#gate"}
    assert found.counts()[1]["in another script than the language's"] == 1


def test_numbers_of_sections_are_no_words_of_a_query(tmp_path):
    files = {}
    for lang in ("en", "de"):
        numbered = "\n\n".join(f"## {label} {lang} {{#s{n}}}\n\n{LONG[lang] * 2}{n}" for n, label in enumerate(
            ["1. Gates", "14.7.5. Gates", "B.4.3. Gates", "3.12 Gates", "2. "]))  # fmt: skip
        files[f"{lang}/x.md"] = numbered
    queries = [row.query for row in build(write(tmp_path, files)).rows if row.lang == "de"]
    assert queries == ["Gates de", "Gates de", "Gates de", "3.12 Gates de", "de"]


def test_files_that_are_not_read_are_told_of_beside_those_that_are(tmp_path):
    files = {f"{lang}/x.md": page(lang, ("Gate", "gate")) for lang in ("en", "de")}
    write(tmp_path, files | {f"{lang}/y.adoc": "= Y" for lang in ("en", "de")})
    assert build(tmp_path).problems.shown == [
        f"{tmp_path}: 2 .adoc files are not read: convert AsciiDoc to HTML (asciidoctor) and name that folder"
    ]
    write(tmp_path, {"de/x.md": "# X"})
    with pytest.raises(InputError, match=r"no section exists in two languages.*2 \.adoc files are not read"):
        build(tmp_path)


def test_the_first_sentence_may_ask(tmp_path):
    write(tmp_path, {f"{lang}/x.md": page(lang, ("Gate", "gate")) for lang in ("en", "de")})
    row = next(row for row in build(tmp_path, query="first-sentence").rows if row.lang == "de")
    assert row.query == LONG["de"].strip()
    assert not row.context.startswith("Der Schleusenwärter öffnet das Tor bei Sonnenaufgang und schließt es nach den "
                                      "Kähnen. Der")  # fmt: skip


def test_banners_are_no_passages(tmp_path):
    banner = "\n\n## Help {#help}\n\n" + LONG["de"] * 2
    files = {f"en/{name}.md": page("en", ("Gate", "gate"), title=name) + "\n\n## Help {#help}\n\n" + LONG["en"] * 2
             for name in "abc"}  # fmt: skip
    files |= {f"de/{name}.md": page("de", ("Gate", "gate"), title=name) + banner for name in "abc"}
    found = build(write(tmp_path, files))
    assert {row.group for row in found.rows} == {"a#gate", "b#gate", "c#gate"}
    assert found.counts()[1]["the same text on several pages"] == 6


def test_what_was_dropped_is_counted_under_any_name(tmp_path):
    files = {f"{lang}/c#/{name}.md": page(lang, ("Gate", "gate"), title=name) + "\n\n## Help {#help}\n\n"
             + LONG[lang] * 2 for name in "abc" for lang in ("en", "de")}  # fmt: skip
    aligned, left_out = build(write(tmp_path, files)).counts()
    assert aligned == {"pivot": 3, "identifier": 3}
    assert left_out["the same text on several pages"] == 6


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no documents here"),
        ({"a.md": "# A", "b.md": "# B"}, "found in two languages; give `layouts`, such as"),
    ],
)
def test_folders_without_translations_are_refused(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        build(write(tmp_path, files))
    with pytest.raises(InputError, match="no such folder"):
        build(tmp_path / "none")


def test_whole_pages_are_held_out_and_equal_passages_stay_together():
    # Every second page was not translated: its text is that of another language's page.
    rows = [Row(f"p{n}#s", ("de", "en")[n % 2], "q", f"text {n // 2}", "d") for n in range(20)]
    pages = {row.group: row.group[:-2] for row in rows}
    train, test = split_pages(rows, pages, 0.2, seed=3)
    assert (len(train), len(test)) == (16, 4)
    assert not {row.passage for row in train} & {row.passage for row in test}
    assert split_pages(list(reversed(rows)), pages, 0.2, seed=3)[1] == list(reversed(test))
    for share in (0, 1, 0.01):
        with pytest.raises(InputError, match="split"):
            split_pages(rows, pages, share)


@pytest.fixture
def whole(tiny_model, monkeypatch):
    """Flags of a small model, whose passages are whole sections."""
    monkeypatch.setattr("isoglot.curation.translated_pages.passages.cutter", lambda *_: lambda text, lang: text)
    return ["--model", str(tiny_model)]


def test_the_command(tmp_path, whole, capsys):
    files = {f"{lang}/{name}.md": page(lang, ("Gate", "gate"), ("Barges", "b"), title=name)
             for lang in LONG for name in "abcde"}  # fmt: skip
    write(tmp_path / "docs", files)
    target, report = tmp_path / "rows.jsonl", tmp_path / "report.jsonl"
    argv = [
        "data",
        "from-docs",
        str(tmp_path / "docs"),
        *whole,
        "-o",
        str(target),
        "--split",
        "0.2",
        "--report",
        str(report),
    ]
    assert run(argv) == 0
    out = capsys.readouterr().out
    assert "layout: {lang}/{path} (guessed" in out
    assert "10 originals, 20 by identifier" in out
    train, test = tmp_path / "rows.train.jsonl", tmp_path / "rows.test.jsonl"
    assert len(prepare([train], tmp_path / "train")) == 24
    assert len(prepare([test], tmp_path / "test")) == 6
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert sum("left_out" not in line for line in lines) == 30
    assert run(argv) == 2  # refuses to replace
    assert run([*argv, "--overwrite", "--layout", "{lang}"]) == 2
    capsys.readouterr()
    for more, said in (
        (["--test-output", str(report)], "--report"),
        (["--test-output", str(target)], "--test-output"),
        (["--test-output", str(tmp_path / "test.csv")], "test.csv: rows are written as JSON lines"),
        (["--budget-tokens", "9"], "--budget-tokens needs --query generated"),
        (["--threshold", "0.1"], "give --align-with too"),
    ):
        assert run([*argv, "--overwrite", *more]) == 2
        assert said in capsys.readouterr().err
    assert len(list(read_rows([train]))) == 24


def test_questions_may_be_generated(tmp_path, whole, monkeypatch, capsys):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "docs", {f"{lang}/x.md": page(lang, ("Gate", "gate")) for lang in ("en", "de")})
    said = json.dumps(
        {"summaries": {"de": "Kurz."}, "questions": [{"de": "Wann öffnet es?", "en": "When is it open?"}]}
    )
    target = tmp_path / "rows.jsonl"
    argv = ["data", "from-docs", str(tmp_path / "docs"), *whole, "-o", str(target), "--query", "generated"]
    with chat_server(lambda *_: said) as (url, server):
        assert run([*argv, "--with", url, "--lm", "tiny"]) == 0
    assert server.prompts[0].startswith("Read this passage, which is in English (en).")
    rows = {row["lang"]: row for row in map(json.loads, target.read_text(encoding="utf-8").splitlines())}
    assert {lang: row["query"] for lang, row in rows.items()} == {"de": "Wann öffnet es?", "en": "When is it open?"}
    assert rows["de"]["group"] == "x#gate"
    assert rows["de"]["passage"].startswith("Der Schleusenwärter")
    assert rows["de"]["generated_by"] == "tiny"
    capsys.readouterr()
    assert run([*argv, "--overwrite"]) == 2
    assert "go together" in capsys.readouterr().err
    with chat_server(lambda *_: "Gern!") as (url, _):
        target.unlink()
        assert run([*argv, "--with", url, "--lm", "other"]) == 1
    assert "no rows are written" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="FastAPI's documentation is not here")
def test_a_real_documentation():
    found = rows_from_docs(SHARED, DocsSettings(langs=("de", "en", "zh")), cut=lambda text, lang: text)
    assert [str(layout) for layout in found.layouts] == ["docs/{lang}/docs/{path}"]
    aligned, _ = found.counts()
    assert set(aligned) == {"pivot", "identifier"}
    assert min(aligned.values()) > 1000
