import pytest

from isoglot.core.errors import InputError
from isoglot.curation.translated_pages.guessing import guess_layouts
from isoglot.curation.translated_pages.layouts import Layout, numbered, pages_of, parse_layout

DOCUSAURUS = "i18n/{lang}/docusaurus-plugin-content-docs/current/{path}|docs/{path}"
BLOG = "i18n/{lang}/docusaurus-plugin-content-blog/{path}|blog/{path}"


def tree(*patterns, langs, pages):
    return [pattern.format(lang=lang, page=page) for pattern in patterns for lang in langs for page in pages]


@pytest.mark.parametrize(
    ("files", "expected", "page", "langs"),
    [
        (tree("docs/{lang}/docs/{page}.md", langs=["de", "en", "zh-hant"], pages=["a", "x/b"]),
         ["docs/{lang}/docs/{path}"], "x/b", {"de", "en", "zh-Hant"}),
        (["a.md", "sub/b.md", *tree("{lang}/{page}.md", langs=["de", "fr"], pages=["a", "sub/b"]), "LICENSE.md"],
         ["{lang}/{path}|{path}"], "sub/b", {"de", "en", "fr"}),
        (["u/page.md", "u/page.de.md", "v/z.md", "v/z.pt-BR.md"],
         ["{path}.{lang}.md|{path}.md"], "v/z", {"en", "pt"}),
        (["docs/intro.md", "docs/g/x.md", "docs/g/y.md",
          *tree("i18n/{lang}/docusaurus-plugin-content-docs/current/{page}.md", langs=["de", "ja"],
                pages=["intro", "g/x"]),
          "blog/first.md", "i18n/de/docusaurus-plugin-content-blog/first.md"],
         [DOCUSAURUS, BLOG], "docs/g/x", {"de", "en", "ja"}),
        (tree("content/{lang}/docs/{page}.md", langs=["en", "zh-cn"], pages=["concepts/pod", "setup"]),
         ["content/{lang}/docs/{path}"], "concepts/pod", {"en", "zh"}),
        (["source/x.rst", "source/y/z.rst", "source/zh_CN/x.rst", "source/zh_CN/y/z.rst"],
         ["source/{lang}/{path}|source/{path}"], "y/z", {"en", "zh"}),
        (["README.md", "docs/README.zh-CN.md", "docs/README.de.md", "docs/more.md"],
         ["docs/{path}.{lang}.md|{path}.md"], "README", {"de", "en", "zh"}),
        (tree("manual/{lang}/{page}.html", langs=["german", "english"], pages=["a", "b"]),
         ["manual/{lang}/{path}"], "a", {"de", "en"}),
        # Hugo, Jekyll, MkDocs, VitePress, Starlight, tldr, Antora, the Linux kernel
        ([*tree("content/{page}.{lang}.md", langs=["de", "fr"], pages=["x/a", "_index"]), "content/x/a.md"],
         ["{path}.{lang}.md|{path}.md"], "content/x/a", {"de", "en", "fr"}),
        ([*tree("_i18n/{lang}/_posts/2020-01-01-{page}.md", langs=["en", "de"], pages=["a", "b"]), "index.md"],
         ["_i18n/{lang}/_posts/{path}"], "2020-01-01-a", {"de", "en"}),
        (["a.md", "_posts/2020-01-01-b.md", "de/a.md", "de/_posts/2020-01-01-b.md"],
         ["{lang}/{path}|{path}"], "_posts/2020-01-01-b", {"de", "en"}),
        (tree("docs/{page}.md", langs=[""], pages=["a", "x/b", "c"])
         + tree("docs/{lang}/{page}.md", langs=["zh", "ru"], pages=["a", "x/b"]),
         ["docs/{lang}/{path}|docs/{path}"], "x/b", {"en", "ru", "zh"}),
        (tree("src/content/docs/{lang}{page}.mdx", langs=["", "pt-br/", "fr/"], pages=["a", "x/b"]),
         ["src/content/docs/{lang}/{path}|src/content/docs/{path}"], "a", {"en", "fr", "pt"}),
        (["pages/linux/ls.md", "pages.pt_BR/linux/ls.md", "pages.de/linux/ls.md"],
         ["pages.{lang}/{path}|pages/{path}"], "linux/ls", {"de", "en", "pt"}),
        (tree("docs-{lang}/modules/ROOT/pages/{page}.html", langs=["en", "fr"], pages=["a", "b"]),
         ["docs-{lang}/modules/ROOT/pages/{path}"], "a", {"en", "fr"}),
        (["Documentation/process/a.rst", "Documentation/process/b.rst", "Documentation/gpu/c.rst",
          *tree("Documentation/translations/{lang}/process/{page}.rst", langs=["zh_CN", "it_IT"], pages=["a", "b"])],
         ["Documentation/translations/{lang}/{path}|Documentation/{path}"], "process/a", {"en", "it", "zh"}),
        # Apple's bundles, with a language of their own for the originals, or with none
        (tree("Help/{lang}.lproj/{page}.html", langs=["en", "zh-Hans", "pt-BR"], pages=["a", "x/b"]),
         ["Help/{lang}.lproj/{path}"], "x/b", {"en", "pt", "zh"}),
        (tree("Help/{lang}.lproj/{page}.html", langs=["Base", "de", "ja"], pages=["a", "x/b"]),
         ["Help/{lang}.lproj/{path}|Help/Base.lproj/{path}"], "x/b", {"de", "en", "ja"}),
        (tree("docs/{lang}/how-to/{page}.md", langs=["v1", "v2"], pages=["a", "b"])
         + tree("{page}.{lang}.md", langs=["en", "de"], pages=["x"]),
         ["{path}.{lang}.md"], "x", {"de", "en"}),
        # The language last, or first, in names
        (tree("docs/{page}/{lang}.md", langs=["en", "de"], pages=["a", "x/b"]),
         ["{path}/{lang}.md"], "docs/x/b", {"de", "en"}),
        (["docs/a/index.md", "docs/a/de/index.md", "docs/b/index.md", "docs/b/de/index.md"],
         ["{path}/{lang}/index.md|{path}/index.md"], "docs/a", {"de", "en"}),
        (tree("docs/{lang}_{page}.md", langs=["en", "de"], pages=["a", "b"]),
         ["docs/{lang}_{path}"], "a", {"de", "en"}),
        # The language twice, as folder and in names
        ([*tree("{lang}/{page}.{lang}.html", langs=["de", "pt-br"], pages=["a", "x/b"]), "a.html", "x/b.html"],
         ["{lang}/{path}.{lang}.html|{path}"], "x/b", {"de", "en", "pt"}),
        (tree("docs/{lang}/{page}.{lang}.md", langs=["en", "zh-CN"], pages=["a", "b"]),
         ["docs/{lang}/{path}.{lang}.md"], "a", {"en", "zh"}),
        # Names of locales, with the originals in that of no language
        (tree("help/{lang}/{page}.html", langs=["C", "de", "sr", "sr@latin"], pages=["a", "b"]),
         ["help/{lang}/{path}|help/C/{path}"], "a", {"en", "de", "sr", "sr-Latn"}),
        # README files
        (["README.md", "README_ja.md", "README_CN.md", "README_TW.md", "LICENSE.md"],
         ["{path}_{lang}.md|{path}.md"], "README", {"en", "ja", "zh", "zh-Hant"}),
        (["README.md", "README.es.md", "README-zh_CN.md"],
         ["{path}-{lang}.md|{path}.md|{path}.{lang}.md"], "README", {"en", "es", "zh"}),
        (["README.md", "translations/de/README.md", "translations/fr/README.md"],
         ["translations/{lang}/{path}|{path}"], "README", {"de", "en", "fr"}),
        # Spellings
        (tree("docs/{lang}/{page}.md", langs=["EN", "Pt-Br", "ZH_tw", "sr-Latn", "es-419"], pages=["a", "b"]),
         ["docs/{lang}/{path}"], "a", {"en", "pt", "zh-Hant", "sr-Latn", "es"}),
        (tree("docs/{lang}/{page}.md", langs=["English", "Español", "日本語", "simplified_chinese"], pages=["a", "b"]),
         ["docs/{lang}/{path}"], "a", {"en", "es", "ja", "zh"}),
        # Folders and names that are no languages
        ([*tree("docs/{lang}/{page}.md", langs=["en", "de"], pages=["a", "b"]),
          "docs/js/a.md", "docs/js/b.md", "docs/en/assets/c.md", "docs/my-a.md"],
         ["docs/{lang}/{path}"], "a", {"de", "en"}),
        (tree("docs/{lang}/{page}.md", langs=["en", "id"], pages=["a", "b"]),
         ["docs/{lang}/{path}"], "a", {"en", "id"}),
        (tree("manual_{lang}.pdf", langs=["en", "de"], pages=[""]), ["{path}_{lang}.pdf"], "manual", {"de", "en"}),
    ],
)  # fmt: skip
def test_layouts_are_guessed(files, expected, page, langs):
    layouts = guess_layouts(files, "en")
    assert [str(layout) for layout in layouts] == expected
    assert set(pages_of(files, layouts, "en")[page]) == langs


def test_a_folder_that_only_looks_like_a_language_is_none():
    """`ml` is Malayalam, or machine learning: none of its pages but one is there in another language."""
    files = ["docs/index.md", "docs/use.md", "docs/de/index.md", "docs/de/use.md"]
    files += ["docs/ml/index.md", "docs/ml/train.md", "docs/ml/models.md", "docs/ml/data.md"]
    (layout,) = guess_layouts(files, "en")
    assert layout.langs == {"de", "en"}


def test_messages_of_a_program_are_not_taken_for_its_pages():
    pages = tree("docs/{lang}/{page}.md", langs=["en", "de"], pages=["a", "b"])
    messages = tree("res/values-{lang}/{page}.xml", langs=["en", "de", "fr", "it"], pages=["strings", "arrays"])
    lists = tree("{lang}/{page}.txt", langs=["en", "de", "fr", "it"], pages=["words", "names"])
    assert [str(layout) for layout in guess_layouts([*pages, *messages, *lists], "en")] == ["docs/{lang}/{path}"]
    manual = tree("manual/{lang}/{page}.xml", langs=["en", "de"], pages=["book"])
    assert [str(layout) for layout in guess_layouts(manual, "en")] == ["manual/{lang}/{path}"]


def test_nothing_is_guessed_where_nothing_is_translated():
    assert guess_layouts(["a.md", "b/c.md", "de.md", "en.md"], "en") == ()
    assert guess_layouts(["go/README.md", "js/README.md", "ts/README.md", "my-page.md", "page.md"], "en") == ()


def test_the_printed_layout_is_taken_back():
    assert str(parse_layout(DOCUSAURUS)) == DOCUSAURUS
    files = ["docs/a.md", "i18n/de/docusaurus-plugin-content-docs/current/a.md", "blog/a.md"]
    files.append("i18n/de/docusaurus-plugin-content-blog/a.md")
    pages = pages_of(files, numbered([parse_layout(DOCUSAURUS), parse_layout(BLOG)]), "en")
    assert {page: set(versions) for page, versions in pages.items()} == {
        "docs/a": {"de", "en"},
        "blog/a": {"de", "en"},
    }


def test_a_named_layout_takes_languages_that_are_not_guessed():
    files = ["docs/en/a.md", "docs/yue/a.md", "docs/images/a.md"]
    assert set(pages_of(files, [parse_layout("docs/{lang}/{path}")], "en")["a"]) == {"en", "yue"}


@pytest.mark.parametrize("pattern", ["{lang}/{page}", "{page}.{lang}"])
def test_a_page_in_two_formats_is_one_page(pattern):
    files = [
        name for ending in ("html", "pdf") for name in tree(f"{pattern}.{ending}", langs=["en", "de"], pages=["a"])
    ]
    files += tree(f"{pattern}.html", langs=["en", "de"], pages=["b"])
    layouts = guess_layouts(files, "en")
    assert len({str(layout) for layout in layouts}) == len(layouts)
    versions = pages_of(files, layouts, "en")
    assert list(versions) == ["a", "b"]
    assert all(file.endswith(".html") for file in versions["a"].values())


def test_a_language_that_is_named_twice_is_the_same():
    layout = parse_layout("{lang}/{path}.{lang}.html")
    files = ["de/a.de.html", "en/a.en.html", "de/b.fr.html"]
    assert pages_of(files, [layout], "en") == {"a": {"de": "de/a.de.html", "en": "en/a.en.html"}}


def test_one_page_may_have_other_endings():
    assert set(pages_of(["en/a.md", "de/a.mdx"], [Layout(("{lang}/{path}",))], "en")["a"]) == {"en", "de"}


@pytest.mark.parametrize("text", ["docs/{path}", "{lang}", "{lang}/{path}/{path}", "{language}/{path}", ""])
def test_a_layout_must_lead_to_languages_and_pages(text):
    with pytest.raises(InputError, match="expected"):
        parse_layout(text)
