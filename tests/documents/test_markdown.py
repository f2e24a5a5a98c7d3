import pytest

from isoglot.documents.html import html_page
from isoglot.documents.markdown import markdown_page
from isoglot.documents.restructured_text import restructured_page
from isoglot.documents.sections import Section, sections


@pytest.mark.parametrize(
    ("front", "title", "lang"),
    [
        ("---\ntitle: Berge\nlang: de\n---\n", "Berge", "de"),
        ("---\r\ntitle: Berge\r\n---\r\n", "Berge", None),
        ("---\ntitle: >-\n  Hohe\n  Berge\n---\n", "Hohe Berge", None),
        ("---\ntitle: |\n  Hohe Berge\nlang: de\n...\n", "Hohe Berge", "de"),
        ('---\n# Wer das liest\ntitle: "Caf\\u00e9: \\"Berg\\"" # Kommentar\n---\n', 'Café: "Berg"', None),
        ("---\ntitle: 'Peter''s Berg'\n---\n", "Peter's Berg", None),
        ("---\ntitle: Fjell\nlang: no\ndate: 2024-02-30\n---\n", "Fjell", "no"),
        ("---\ntitle: ~\n---\n", "Kopf", None),
        ("---\n---\n", "Kopf", None),
        ('+++\ntitle = "Berge"\nlanguageCode = "de"\n[params]\ntitle = "nein"\n+++\n', "Berge", "de"),
        ("+++\ntitle = '''\nHohe Berge'''\n+++\n", "Hohe Berge", None),
    ],
)
def test_front_matter_is_read_by_its_parser(front, title, lang):
    page = markdown_page(f"{front}# Kopf\n\nText.")
    assert (page.title, page.lang, page.text, page.note) == (title, lang, "Kopf\n\nText.", "")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("---\n\nEin Satz: mit Doppelpunkt.\n\n---\n\nMehr.", "Ein Satz: mit Doppelpunkt.\n\nMehr."),
        ("---\nEin Satz ohne.\n\n---\nMehr.", "Ein Satz ohne.\n\nMehr."),
        ("---\nNoch ein Satz: mit.\n\n---\nMehr.", "Noch ein Satz: mit.\n\nMehr."),
        ("---\n- eins\n- zwei\n\n---\nMehr.", "eins\n\nzwei\n\nMehr."),
        ("+++\nkein TOML\n+++\nMehr.", "+++\nkein TOML\n+++\nMehr."),
        ("Text\n\n---\ntitle: nein\n---\n", "Text\n\ntitle: nein"),
        ("---\nTitle: ohne Ende", "Title: ohne Ende"),
    ],
)
def test_a_page_that_begins_with_a_rule_loses_nothing(text, kept):
    page = markdown_page(text)
    assert (page.text, page.note) == (kept, "")


def test_broken_front_matter_is_told_and_kept():
    page = markdown_page("---\ntitle: Tee: eine Sache\nlang: de\n---\nMehr.")
    assert (page.title, page.lang, page.text) == ("Tee: eine Sache", "de", "Mehr.")
    assert page.note.startswith("front matter that is not YAML (mapping values are not allowed")
    page = markdown_page("---\ntitle: Tee\ntags: [a\n  b\n---\nMehr.")
    assert "Tee" in page.text
    assert page.note.startswith("front matter that cannot be read is kept as text (")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("eins<br>zwei<BR />drei", "eins\nzwei\ndrei"),
        ("A[^a] B[^b].\n\n[^a]: Eins\n\n    Zwei\n[^b]: Drei\n", "A B.\n\nEins\n\nZwei\n\nDrei"),
        ("A^[gleich hier] B[^ohne].", "A B[^ohne].\n\ngleich hier"),
        ('{{< figure src="a.png" title="Bild" caption="Darunter" alt="Bild" >}}', "Bild Darunter"),
        ('Nutze {{</* ref "a" */>}} so.', 'Nutze {{< ref "a" >}} so.'),
        ("Siehe [[Andere Seite]], [[Seite#Kopf|dort]] und ![[Bild|klein]].", "Siehe Andere Seite, dort und klein."),
        ("In R ist x[[1]] und `[[x]]`.", "In R ist x[[1]] und [[x]]."),
    ],
)
def test_what_readers_see_stays(text, kept):
    page = markdown_page(text)
    assert (page.text, page.note) == (kept, "")


@pytest.mark.parametrize("lines", ["\n", "# a\n", " \n", " "])
def test_many_lines_before_what_is_no_key_take_no_time(lines):
    for mark, first in (("+++", ""), ("---", "a: [\n")):
        text = f"{mark}\n{first}{lines * 2000}!\n{mark}\nText."
        assert markdown_page(text).text.endswith("Text.")


def test_json_is_front_matter_where_it_stands_alone():
    page = markdown_page('{\n "title": "Berge",\n "lang": "de",\n "tags": ["a"]\n}\n\nText.')
    assert (page.title, page.lang, page.text) == ("Berge", "de", "Text.")
    for text in ('{"a": 1} ist JSON.', "{kein JSON}\n\nText.", "{}\nText."):
        assert markdown_page(text).text == text


@pytest.mark.parametrize(
    ("heading", "title", "ident"),
    [
        ("# Berge", "Berge", ""),
        ("# Berge {#b}", "Berge", "b"),
        ("# Berge { #b }", "Berge", "b"),
        ("## *Hohe* Berge {#hohe_b .klasse key='x y'}", "Hohe Berge", "hohe_b"),
        ("## Berge {: #b.1 }", "Berge", "b.1"),
        ("## Berge\n{: #b.1 .no_toc }", "Berge", "b.1"),
        ('<a id="b"></a>\n\n## Berge', "Berge", "b"),
        ("(b)=\n## Berge", "Berge", "b"),
        ("## Berge {.unnumbered}", "Berge", ""),
        ("## Berge {/* #b */}", "Berge", "b"),
        ('## <a id="b"></a>Berge', "Berge", "b"),
        ("Berge {#b}\n=====", "Berge", "b"),
        ("## Menge {x}", "Menge {x}", ""),
        ("## Menge {#x} und mehr", "Menge {#x} und mehr", ""),
        ("<h2 id='b'>Berge</h2>", "Berge", "b"),
    ],
)
def test_headings_give_up_their_anchors(heading, title, ident):
    page = markdown_page(f"{heading}\n\nText.")
    assert page.title == title
    assert sections(page)[0][1:] == (title, ident, "Text.")


def test_sections_hold_prose():
    text = """Vorweg.

# Eins

!!! note "Achtung"
    Im *Kasten*.

> [!WARNING]
> Im Zitat.

:::tip
Im Behälter mit {{< glossary_tooltip text="Pods" term_id="pod" >}}.
:::

```python
code = 1
```

## Zwei

| a | b |
|---|---|
| c | d |

## Drei
"""
    assert sections(markdown_page(text)) == [
        Section(0, "", "", "Vorweg."),
        Section(1, "Eins", "", "Im Kasten.\n\nIm Zitat.\n\nIm Behälter mit Pods."),
        Section(2, "Zwei", "", ""),
        Section(2, "Drei", "", ""),
    ]
    shown = markdown_page(text).text
    assert all(part in shown for part in ("code = 1", "Achtung", "a\n\nb\n\nc\n\nd"))


def test_sections_of_html():
    page = html_page(
        "<html lang='de'><title>T</title><p>Vorweg<section id='eins'><h1>Eins<a href='#eins'>¶</a></h1>"
        "Frei <b>stehend</b>\nmit Umbruch<p>Absatz<br>zwei</section><h2 id='zwei'>Zwei</h2><pre>x\n  y</pre>"
        "<ul><li>a<li>b</ul><script>nein()</script>"
    )
    assert (page.title, page.lang) == ("T", "de")
    assert sections(page) == [
        Section(0, "", "", "Vorweg"),
        Section(1, "Eins", "eins", "Frei stehend mit Umbruch\n\nAbsatz\nzwei"),
        Section(2, "Zwei", "zwei", "a\n\nb"),
    ]
    assert "x\n  y" in page.text


def test_sections_of_restructured_text():
    page = restructured_page(
        ".. _ziel:\n\nTitel\n=====\n\nEin :ref:`Verweis <ziel>`, ``Code`` und :foo:`x`.\n\n.. note:: Hinweis.\n\n"
        ".. versionadded:: 3.2\n   Neu *hier*.\n\nUnter\n-----\n\nText::\n\n    code\n\n.. toctree::\n\n   a\n"
        "\n.. include:: /etc/passwd\n\n.. Kommentar\n"
    )
    assert page.title == "Titel"
    first, second = sections(page)
    assert first[:3] == (1, "Titel", "ziel")
    assert first.text.startswith("Ein Verweis, Code und ")
    assert first.text.endswith("Hinweis.\n\nNeu hier.")
    assert second == (2, "Unter", "", "Text:")


def test_deep_nesting_is_no_recursion():
    deep = html_page("a" + "<div>b" * 5000 + "<script></div></script><!--<p>-->c" + "</div>" * 5000 + "<p>d")
    assert deep.text.startswith("a\n\nb\n\nb\n\nb")
    assert deep.text.endswith("b b bc\n\nd")
    assert deep.text.count("b") == 5000
    assert deep.note == "elements nested more than 1,000 deep; what is deeper is read as plain text"
    wide = html_page("<div><p>a<p>b</div>" * 5000)
    assert (len(wide.blocks), wide.note) == (10_000, "")
    assert "x" in markdown_page("> " * 1000 + "x").text
    assert "x" in markdown_page("- " * 500 + "x").text
    assert "x" in restructured_page("x\n\n" + "".join(" " * n + "* a\n\n" for n in range(0, 100, 2))).text


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("図書館は月曜\n日に休館します。\n本を借りる。", "図書館は月曜日に休館します。本を借りる。"),
        ("请参阅\nPod 文档\n中的说明", "请参阅\nPod 文档中的说明"),
        ("도서관은\n월요일", "도서관은\n월요일"),
    ],
)
def test_wrapped_lines_of_scripts_without_spaces_are_joined(text, joined):
    """A word that ends in the next line would not be found; Korean has spaces, which the line ends stand for."""
    assert markdown_page(text).text == joined
    assert restructured_page(text).text == joined
    assert html_page(f"<p>{text}</p>").text == joined.replace("\n", " ")
    assert html_page(f"<pre>{text}</pre>").text == text
    assert markdown_page(f"```\n{text}\n```").text == text


def test_breaks_that_were_meant_stay_in_all_scripts():
    assert markdown_page("床前明月光  \n疑是地上霜\\\n举头<br>望").text == "床前明月光\n疑是地上霜\n举头\n望"
    assert html_page("<p>床前明月光<br>\n疑是地上霜</p>").text == "床前明月光\n疑是地上霜"
