import shutil
import subprocess

import pytest

from isoglot.core.problems import Problems
from isoglot.curation.translated_pages.reading import read_page
from isoglot.documents.sections import Section

MARKDOWN = """---
title: "A guide"
weight: 3
---
import Tabs from '@theme/Tabs';

Before any heading. <!-- a comment
## not a heading -->

## Set up {#setup}

!!! note "Careful"
    Prose of an admonition.

    ```python
    code_of_an_admonition()
    ```

:::tip Hello
A tip.
:::

{{< note >}}From a shortcode.{{< /note >}}

```
## code, no heading
```

- [A link](a.md)
- [Another](b.md)
- an item with [a link](c.md)

| a | table |
|---|---|
| 1 | cell |

(my-label)=
### Labelled

<a name="old"></a>
Setext `code`
-------------
<p>HTML prose</p>

## Docusaurus {/* #mdx-id */}

Last.
"""


@pytest.fixture
def read(tmp_path):
    def page_of(text, ending):
        path = tmp_path / f"file.{ending}"
        path.write_text(text, encoding="utf-8")
        return read_page(path)

    return page_of


def test_markdown_of_generators(read):
    page = read(MARKDOWN, "md")
    assert page.title == "A guide"
    assert page.sections == (
        Section(0, "", "", "Before any heading."),
        Section(2, "Set up", "setup", "Prose of an admonition.\nA tip.\nFrom a shortcode.\nan item with a link"),
        Section(3, "Labelled", "my-label", ""),
        Section(2, "Setext code", "old", "HTML prose"),
        Section(2, "Docusaurus", "mdx-id", "Last."),
    )


def test_a_rule_at_the_top_is_no_front_matter(read):
    page = read("---\n\n# Titel\n\nText.\n", "md")
    assert (page.title, page.sections[0].text) == ("Titel", "Text.")


def test_html_keeps_the_main_part(read):
    page = read(
        "<html><head><title>Guide | Site</title></head><body><nav><ul><li>Home</li></ul></nav><main>"
        "<h1>Guide</h1><p>Hello <b>you</b>.</p><section id='go'><h2>Go<a class='headerlink' href='#go'>¶</a></h2>"
        "<p>One.</p><pre>code</pre><ul><li><p>item</p></li><li><a href='x'>only a link</a></li></ul></section>"
        "<h2 id='id3'>Numbered</h2><p>Two.</p></main><footer><p>Imprint</p></footer></body></html>",
        "html",
    )
    assert page.title == "Guide"
    assert page.sections == (
        Section(1, "Guide", "", "Hello you."),
        Section(2, "Go", "go", "One.\nitem"),
        Section(2, "Numbered", "", "Two."),  # id3 is what Sphinx calls the third heading, whichever that is
    )


@pytest.mark.parametrize("kind", ["docx", "odt"])
def test_documents_of_word_processors(tmp_path, kind):
    pandoc = shutil.which("pandoc")
    if pandoc is None:
        pytest.skip("pandoc is not here")
    pytest.importorskip("docx")
    pytest.importorskip("odfdo")
    text = "# Guide\n\nHello you.\n\n## Go\n\nOne.\n\n    code()\n\n- item\n"
    target = tmp_path / f"page.de.{kind}"
    subprocess.run([pandoc, "-f", "markdown", "-o", str(target)], input=text, text=True, check=True)
    page = read_page(target)
    assert page.title == "Guide"
    assert [(section.level, section.title) for section in page.sections] == [(1, "Guide"), (2, "Go")]
    assert page.sections[0].text == "Hello you."
    assert {"One.", "item"} <= set(page.sections[1].text.split("\n"))


def test_restructured_text_of_sphinx(read):
    page = read(
        ".. _intro:\n\nÜber\n====\n\nText mit :ref:`Verweis <ziel>` und :class:`~pkg.Thing`.\n\n"
        ".. code-block:: python\n\n   code()\n\n.. note:: Kurz gesagt.\n\n   Länger gesagt.\n\n"
        ".. toctree::\n   :maxdepth: 2\n\n   a\n   b\n\nUnter\n-----\n\n.. versionadded:: 1.2\n   Neu.\n\n"
        "* Punkt eins\n* Punkt zwei\n\n::\n\n   literal\n",
        "rst",
    )
    assert page.title == "Über"
    assert page.sections == (
        Section(1, "Über", "intro", "Text mit Verweis und pkg.Thing.\nKurz gesagt.\nLänger gesagt."),
        Section(2, "Unter", "", "Neu.\nPunkt eins\nPunkt zwei"),
    )


def test_what_a_template_declares_is_no_note_where_the_layout_tells_the_language(tmp_path):
    path = tmp_path / "a.html"
    text = "Η βιβλιοθήκη είναι ανοιχτή από Δευτέρα έως Παρασκευή, και οι αναγνώστες δανείζονται βιβλία."
    path.write_text(f"<html lang='en'><h1>Ώρες</h1><p>{text}</p></html>", encoding="utf-8")
    problems = Problems()
    assert read_page(path, problems).sections[0].text == text
    assert problems.shown == []


@pytest.mark.parametrize(
    ("ident", "kept"),
    [
        ("idm3815", ""),
        ("idp140", ""),
        ("id2531", ""),
        ("idN10F3A", ""),
        ("bm_id3147341", "bm_id3147341"),
        ("idle", "idle"),
    ],
)
def test_numbers_that_generators_count_are_no_identifiers(tmp_path, ident, kept):
    (tmp_path / "a.html").write_text(f"<h1 id='{ident}'>Eins</h1><p>Ein Satz.", encoding="utf-8")
    assert [section.ident for section in read_page(tmp_path / "a.html").sections] == [kept]


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>Filter</title>", "<h2>Filter</h2><p>a</p><h3>Optionen</h3><p>b</p>", "Filter"),
        ("<title>Filter - Hilfe</title>", "<h1>Filter</h1><p>a</p><h2>Optionen</h2><p>b</p>", "Filter"),
        ("", "<h2>Filter</h2><p>a</p><h3>Optionen</h3><p>b</p>", ""),
    ],
)
def test_the_title_of_a_page_whose_first_heading_is_a_second_level(tmp_path, head, body, title):
    """DocBook's stylesheets write every section into a file of its own, whose first heading keeps its level."""
    (tmp_path / "a.html").write_text(f"<html><head>{head}</head><body>{body}</body></html>", encoding="utf-8")
    assert read_page(tmp_path / "a.html").title == title
