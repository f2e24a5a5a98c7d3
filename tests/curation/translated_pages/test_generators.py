"""Small trees as documentation generators keep them, from files to rows."""

import pytest

from isoglot.core.errors import InputError
from isoglot.curation.translated_pages.building import rows_from_docs
from isoglot.curation.translated_pages.rows import DocsSettings

GATE = {
    "en": "The sluice keeper opens the gate at dawn and closes it when the barges have passed the upper basin.",
    "de": "Der Schleusenwärter öffnet das Tor bei Sonnenaufgang und schließt es, wenn die Kähne durch sind.",
    "zh": "船闸看守在黎明时打开闸门，等驳船通过上游水池之后再把它关上。",
}
TOLL = {
    "en": "A barge pays its toll by weight, and the toll house is open from six in the morning until nightfall.",
    "de": "Ein Kahn zahlt seine Gebühr nach Gewicht, und das Zollhaus ist von sechs Uhr bis in die Nacht geöffnet.",
    "zh": "驳船按照重量缴纳通行费，收费站从早上六点一直开放到天黑为止。",
}
NAMES = {"en": ("Locks", "Tolls"), "de": ("Schleusen", "Gebühren"), "zh": ("船闸", "通行费")}

DOCUSAURUS = """---
title: {name}
---
import Tabs from '@theme/Tabs';

{gate}

```bash
# no heading
```

## {tolls}

<Tabs>
  <TabItem value="a">

    {toll}

  </TabItem>
</Tabs>
"""
VITEPRESS = "# {name}\n\n{gate}\n\n## {tolls} <Badge text='1.0' />\n\n::: warning NOTE\n{toll}\n:::\n"
JEKYLL = "---\ntitle: {name}\n---\n{gate}\n\n## {tolls}\n{{: #toll}}\n\n{{% include a.html %}}\n{toll}\n{{: .note}}\n"
HUGO = '+++\ntitle = "{name}"\n+++\n{gate}\n\n## {tolls}\n\n{{{{< note >}}}}\n{toll}\n{{{{< /note >}}}}\n'
SPHINX = "{name}\n=========\n\n{gate}\n\n.. _toll:\n\n{tolls}\n--------\n\n.. note::\n\n   {toll}\n"
HTML = (
    "<html><head><title>{name} | Site</title></head><body><nav><a href='/'>{tolls}</a></nav><main><h1>{name}</h1>"
    "<p>{gate}</p><h2 id='toll'>{tolls}</h2><p>{toll}</p></main><footer><p>{gate}</p></footer></body></html>"
)


def tree(folder, template, files):
    for lang, name in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        title, tolls = NAMES[lang]
        path.write_text(template.format(name=title, tolls=tolls, gate=GATE[lang], toll=TOLL[lang]), encoding="utf-8")
    return folder


def build(folder, **settings):
    return rows_from_docs(folder, DocsSettings(**settings), cut=lambda text, lang: text)


@pytest.mark.parametrize(
    ("template", "files", "layout"),
    [
        (DOCUSAURUS,
         {"en": "docs/a.mdx", "de": "i18n/de/docusaurus-plugin-content-docs/current/a.mdx",
          "zh": "i18n/zh-Hans/docusaurus-plugin-content-docs/current/a.mdx"},
         "i18n/{lang}/docusaurus-plugin-content-docs/current/{path}|docs/{path}"),
        (VITEPRESS, {"en": "docs/x/a.md", "zh": "docs/zh/x/a.md", "de": "docs/de/x/a.md"},
         "docs/{lang}/{path}|docs/{path}"),
        (JEKYLL, {"en": "_docs/a.md", "de": "_docs/de/a.md"}, "_docs/{lang}/{path}|_docs/{path}"),
        (HUGO, {"en": "content/a.md", "de": "content/a.de.md"}, "{path}.{lang}.md|{path}.md"),
        (SPHINX, {"en": "source/a.rst", "zh": "source/zh_CN/a.rst"}, "source/{lang}/{path}|source/{path}"),
        (HTML, {"en": "a.html", "de": "de/a.html", "zh": "zh-cn/a.html"}, "{lang}/{path}|{path}"),
    ],
)  # fmt: skip
def test_every_section_of_every_language_is_a_row(tmp_path, template, files, layout):
    found = build(tree(tmp_path, template, files))
    assert [str(layout) for layout in found.layouts] == [layout]
    said = {(row.lang, row.query, row.passage) for row in found.rows}
    assert said == {
        (lang, query, text)
        for lang in files
        for query, text in ((NAMES[lang][0], GATE[lang]), (": ".join(NAMES[lang]), TOLL[lang]))
    }
    assert len({row.group for row in found.rows}) == 2
    assert not found.counts()[1]


def test_a_translation_that_lags_behind_and_keeps_the_original_in_comments(tmp_path):
    original = f"# Locks\n\n{GATE['en']}\n\n## New\n\nOn the tow path, which came later.\n\n## Tolls\n\n{TOLL['en']}\n"
    translated = (
        f"<!--\n# Locks\n-->\n# 船闸\n\n<!--\n{GATE['en']}\n-->\n{GATE['zh']}\n\n## 通行费 {{#tolls}}\n\n{TOLL['zh']}"
    )
    for name, text in {"content/en/a.md": original, "content/zh-cn/a.md": translated}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = build(tmp_path)
    assert {(row.group, row.lang): row.passage for row in found.rows} == {
        ("a#locks", "en"): GATE["en"], ("a#locks", "zh"): GATE["zh"],
        ("a#tolls", "en"): TOLL["en"], ("a#tolls", "zh"): TOLL["zh"],
    }  # fmt: skip


def test_texts_without_headings_want_another_query(tmp_path):
    tree(tmp_path, "{gate} {toll}", {"en": "en/a.txt", "de": "de/a.txt"})
    with pytest.raises(InputError, match=r"left out: 2 no heading.*`query` first-sentence"):
        build(tmp_path)
    rows = build(tmp_path, query="first-sentence").rows
    assert {(row.lang, row.query, row.passage) for row in rows} == {
        (lang, GATE[lang], TOLL[lang]) for lang in ("en", "de")
    }
