import pytest

from isoglot.core.errors import InputError
from isoglot.curation.translated_pages.finding import find_pages
from isoglot.curation.translated_pages.layouts import parse_layout


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# Text", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (
            ["source/a.rst", "source/locale/de/LC_MESSAGES/a.po"],
            "gettext catalogues are translated sentences, not pages",
        ),
        (["locale/de/LC_MESSAGES/a.po"], "no documents here.*1 .po files are not read: .*sphinx-build"),
        (["en/modules/ROOT/pages/a.adoc", "fr/modules/ROOT/pages/a.adoc"], "2 .adoc files are not read: .*asciidoctor"),
        (["man/man1/ls.1", "man/de/man1/ls.1"], "2 man files are not read: .*mandoc -T html"),
        (["man/ja/man1/ls.1.gz", "man/de/man1/ls.1.gz"], "2 man files are not read: .*mandoc -T html"),
        (["C/a.page", "de/a.page"], "2 .page files are not read: .*yelp-build html"),
        (["a.md", "b.md"], r"no page of its 2 documents .* `layouts`, such as 'docs/\{lang\}/\{path\}'"),
        (["docs/a.md", "docs/en/a.md"], r"those under 'docs/\{path\}' cannot be in en.*`pivot`"),
    ],
)
def test_where_nothing_is_found_it_says_what_to_do(tmp_path, names, hint):
    with pytest.raises(InputError, match=hint):
        find_pages(make(tmp_path, *names), (), "en")


def test_pages_of_another_pivot(tmp_path):
    found = find_pages(make(tmp_path, "docs/a.md", "docs/en/a.md"), (), "de")
    assert found.pages == {"a": {"de": "docs/a.md", "en": "docs/en/a.md"}}


def test_files_that_are_no_page_have_a_reason(tmp_path):
    make(
        tmp_path,
        "docs/en_GB/a.md",
        "docs/en_US/a.md",
        "docs/de/a.md",
        "notes.md",
        ".hidden/de/a.md",
        "en/node_modules/a.md",
    )
    found = find_pages(tmp_path, (parse_layout("docs/{lang}/{path}"),), "en")
    assert found.pages == {"a": {"de": "docs/de/a.md", "en": "docs/en_GB/a.md"}}
    assert found.left_out == [
        ("docs/en_US/a.md", "another file has this page in this language"),
        ("notes.md", "it does not match the layout"),
    ]


def test_a_name_that_is_no_text_is_left_out(tmp_path):
    make(tmp_path, "en/a.md", "de/a.md")
    try:
        (tmp_path / "de" / "b\udcfc.md").write_text("# Text", encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert find_pages(tmp_path, (), "en").left_out == [(r"de/b\xfc.md", "its name is not UTF-8")]


def test_a_layout_that_finds_nothing_names_files(tmp_path):
    with pytest.raises(InputError, match=r"under pages/\{lang\}/\{path\} \(0 pages, 2 documents, such as docs/de/a.md"):
        find_pages(make(tmp_path, "docs/de/a.md", "docs/en/a.md"), (parse_layout("pages/{lang}/{path}"),), "en")
