"""Markdown that a careless pattern would take minutes for: what opens again and again and is never closed."""

import pytest

from isoglot.documents.markdown import markdown_page


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    ["{: " + "." * 40, "{{< " + " " * 2000, "<!-- ", "{% ", "{/* ", "# Kopf {: .a" + " .b" * 30 + " !", "[[a|", "{{%"],
)
def test_what_is_never_closed_takes_no_longer_than_other_text(piece):
    text = f"# Anfang\n\nVorn {piece * 1500}\n\nEnde."
    assert markdown_page(text).text.endswith("Ende.")
