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


def test_nothing_is_guessed_where_nothing_is_translated():
    assert guess_layouts(["a.md", "b/c.md", "de.md", "en.md"], "en") == ()


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


def test_one_page_may_have_other_endings():
    assert set(pages_of(["en/a.md", "de/a.mdx"], [Layout(("{lang}/{path}",))], "en")["a"]) == {"en", "de"}


@pytest.mark.parametrize("text", ["docs/{path}", "{lang}", "{lang}/{path}/{path}", "{language}/{path}", ""])
def test_a_layout_must_lead_to_languages_and_pages(text):
    with pytest.raises(InputError, match="expected"):
        parse_layout(text)
