"""Which words of a text the page marks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.serve.highlight import highlight


def marked(text: str, query: str) -> list[str]:
    return [piece.text for piece in highlight(text, query) if piece.marked]


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Solar panels and solarium", "SOLAR", ["Solar", "solarium"]),
        ("the sun and the moon", "the sun of moon", ["moon"]),  # three letters mark nothing in Latin script
        ("Die Flüsse", "flu\u0308sse", ["Flüsse"]),  # composed and decomposed are one
        ("Straße", "STRASSE", ["Straße"]),
        ("ضوء الشمس قوي", "الشمس", ["الشمس"]),
        ("बिजली बनाता है", "बिजली", ["बिजली"]),
        ("太阳能电池板把阳光", "太阳能电池", ["太阳能电池"]),
        ("แผงโซลาร์เซลล์ผลิตไฟฟ้า", "โซลาร์เซลล์", ["โซลาร์เซลล์"]),
        ("in 1969 and 7 days", "1969 7", ["1969", "7"]),
        ("nothing here", "", []),
        ("", "query", []),
        ("中文", "中", ["中"]),
        ("Tokyo東京tower", "東京", ["東京"]),
        ("Donau\u00addampf\u00adschiff alt", "donaudampfschiff", ["Donau\u00addampf\u00adschiff"]),
        ("الطَّالِبُ يقرأ", "الطالب", ["الطَّالِبُ"]),
        ("Η Αθήνα", "ΑΘΗΝΑ", ["Αθήνα"]),
        ("ﾃﾞｰﾀを", "データ", ["ﾃﾞｰﾀ"]),
        ("qualité de l’eaux", "eaux", ["eaux"]),
        ("读者可以在⽹上", "网上", ["⽹上"]),
        ("İzmir güzel", "izmir", ["İzmir"]),
        ("문을 닫은 도서관에서는", "도서관은", ["도서관"]),
        ("เราไปโรงเรียน", "ไป", ["ไป"]),
        ("good 👍🏽", "👍", ["👍"]),
    ],
)
def test_words_are_marked(text: str, query: str, expected: list[str]) -> None:
    assert marked(text, query) == expected


@given(st.text(max_size=60), st.text(max_size=20))
def test_pieces_join_to_the_text_and_alternate(text: str, query: str) -> None:
    pieces = highlight(text, query)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    assert all(first.marked != second.marked for first, second in pairwise(pieces))
