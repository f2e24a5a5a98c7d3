"""Snippets: the part with the words, in every script; never longer than asked for, always a part of the text."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.languages import matched_words
from isoglot.search import snippets
from isoglot.search.snippets import snippet

FILL = "Lorem ipsum dolor sit amet. " * 40


@pytest.mark.parametrize(
    ("sentence", "query", "marked"),
    [
        ("Die Planeten kreisen um die Sonne.", "planet sonne", ["Planeten", "Sonne"]),
        ("İzmir'de STRASSE ve Straße", "straße izmir", ["İzmir", "STRASSE", "Straße"]),
        ("太阳能电池板发电", "太阳能", ["太阳能"]),
        ("กรุงเทพมหานครเป็นเมืองหลวง", "เมืองหลวง", ["เมืองหลวง"]),
        ("नई दिल्ली भारत की राजधानी है", "राजधानी", ["राजधानी"]),
        ("e\u0301cole primaire", "école", ["e\u0301cole"]),
        ("Die Planung der Planeten", "planets", ["Planeten"]),
        ("قرأت هذا الكتاب أمس", "كتاب", ["الكتاب"]),
        ("हिन्दी भाषा", "हिंदी", ["हिन्दी"]),
    ],
)
def test_the_words_are_in_it_and_marked(sentence, query, marked):
    part = snippet(FILL + sentence + " " + FILL, query, 80)
    assert [part.text[start:end] for start, end in part.marks] == marked
    assert (part.before, part.after) == (True, True)
    assert len(part.text) <= 80


def test_more_different_words_win_over_more_of_one():
    text = "tides tides tides " + FILL + "the tides follow the moon " + FILL
    assert "follow the moon" in snippet(text, "tides moon", 60).text


def test_without_words_it_is_the_beginning():
    part = snippet(FILL, "nothing", 50)
    assert FILL.startswith(part.text)
    assert (part.start, part.before, part.after, part.marks) == (0, False, True, ())
    assert part.text.endswith("ipsum dolor sit")
    assert snippet("short", "short", 50) == ("short", 0, ((0, 5),), False, False)
    assert snippet("", "x", 50) == ("", 0, (), False, False)


@given(
    text=st.text(st.sampled_from("abc \u0301太阳能हिन्दी。."), max_size=300),
    query=st.text(st.sampled_from("abc 太阳能हिन्दी"), max_size=20),
    characters=st.integers(40, 120),
)
def test_it_is_a_part_of_the_text_and_short_enough(text, query, characters):
    part = snippet(text, query, characters)
    assert text[part.start : part.start + len(part.text)] == part.text
    assert len(part.text) <= characters
    assert part.before == (part.start > 0)
    assert part.after == (part.start + len(part.text) < len(text))
    ends = [place for mark in part.marks for place in mark]
    assert ends == sorted(set(ends))
    assert all(0 <= place <= len(part.text) for place in ends)


@pytest.mark.parametrize("characters", [39, 2001, 0, -1])
def test_lengths_that_cannot_be(characters):
    with pytest.raises(InputError, match=f"snippet {characters}: expected 40 to 2000"):
        snippet("text", "text", characters)


@pytest.mark.parametrize("module", [matched_words, snippets])
def test_doctests(module):
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed
