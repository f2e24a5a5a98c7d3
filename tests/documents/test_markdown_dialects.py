"""What generators add to Markdown: what readers see of it is kept, and code stays as it is."""

import pytest

from isoglot.documents.markdown import markdown_page
from isoglot.documents.sections import sections


def prose(text):
    return [part for section in sections(markdown_page(text)) for part in section.text.split("\n\n") if part]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Python-Markdown and pymdownx
        ('!!! note "Achtung"\n    Im Kasten.\n\n    Noch im Kasten.\n\nDahinter.',
         ["Im Kasten.", "Noch im Kasten.", "Dahinter."]),
        ("??? tip\n    Zum Klappen.", ["Zum Klappen."]),
        ('=== "Linux"\n\n    So geht es.\n\n=== "macOS"\n\n    Oder so.', ["So geht es.", "Oder so."]),
        ("/// warning | Vorsicht\nIm Kasten.\n///\nDahinter.", ["Im Kasten.", "Dahinter."]),
        ("--8<-- \"datei.md\"\n\nText.", ["Text."]),
        # MDX
        ("import Tabs from '@theme/Tabs';\nimport {\n  A,\n} from './a';\n\nText.", ["Text."]),
        ("export const x = {\n  a: 1,\n};\n\nText.", ["Text."]),
        ("<Tabs>\n  <TabItem value='a'>\n\n    Im *Reiter*.\n\n  </TabItem>\n</Tabs>", ["Im Reiter."]),
        ("Import goods from China and sell them.\n\nimport licences from the office in time",
         ["Import goods from China and sell them.", "import licences from the office in time"]),
        # Docusaurus, VitePress, MyST
        (":::tip[Kurz]\n\nIm Kasten.\n\n:::", ["Im Kasten."]),
        ("::: details Mehr\nIm Kasten.\n:::", ["Im Kasten."]),
        (":::{note} Kurz\n:class: rot\nIm Kasten.\n:::", ["Im Kasten."]),
        ("```{warning}\n:class: rot\nIm *Kasten*.\n```\nDahinter.", ["Im Kasten.", "Dahinter."]),
        ("<<< @/teile/datei.js{2}\n\nText.", ["Text."]),
        # Hugo, Jekyll, GitBook
        ("{{< note >}}\nIm Kasten.\n{{< /note >}}", ["Im Kasten."]),
        ("{% include kopf.html %}\n{% hint style=\"info\" %}\nIm Kasten.\n{% endhint %}", ["Im Kasten."]),
        ("{% highlight ruby %}\nputs 1\n{% endhighlight %}\n\nText.", ["Text."]),
        ("* TOC\n{:toc}\n\nText.\n{: .klasse}", ["TOC", "Text."]),
        ("## Kopf\n{: #k }\n\nText.", ["Text."]),
        ("Siehe [[Quelle]](q.md) und [[Wiki|hier]].", ["Siehe [Quelle] und hier."]),
        ("export default settings to a file before you start", ["export default settings to a file before you start"]),
        ("export default function Seite() {\n  return 1\n}\n\nText.", ["Text."]),
        ("Vorn ```ein``` und\n{% raw %}hinten{% endraw %}.", ["Vorn ein und\nhinten."]),
        # Comments
        ("Vor <!-- ein\n\n## Kommentar --> nach.", ["Vor  nach."]),
        ("{/* ein Kommentar */}\n\nText.", ["Text."]),
    ],
)  # fmt: skip
def test_content_is_prose_and_markup_is_not(text, expected):
    assert prose(text) == expected


@pytest.mark.parametrize(
    "code",
    [
        "```\n## kein Kopf\n::: kein Kasten\n<!-- kein Kommentar -->\nimport x from 'y'\n{{< kein >}}\n```",
        "```\n## Kopf\n{: .klasse}\n```",
        "~~~~md\n```\n!!! note\n```\n/// tip\n~~~~",
    ],
)
def test_code_stays_as_it_is(code):
    page = markdown_page(f"# Kopf\n\n{code}\n\nText.")
    inner = code.split("\n", 1)[1].rsplit("\n", 1)[0]
    assert [(block.text, block.prose) for block in page.blocks] == [("Kopf", True), (inner, False), ("Text.", True)]


def test_a_comment_shown_as_code_opens_none():
    assert prose("Mit `<!--` beginnt ein Kommentar, mit `-->` endet er.") == [
        "Mit <!-- beginnt ein Kommentar, mit --> endet er."
    ]


def test_what_is_no_prose_is_still_in_the_text():
    page = markdown_page(
        '!!! note "Achtung: `Eis`"\n    Glatt.\n\n![Ein Berg](b.png)\n\n- [Hütten](h.md)\n\n| Höhe |\n|---|\n| 2400 |\n'
    )
    assert [block.text for block in page.blocks] == ["Achtung: Eis", "Glatt.", "Ein Berg", "Hütten", "Höhe", "2400"]
    assert [block.text for block in page.blocks if block.prose] == ["Glatt."]
