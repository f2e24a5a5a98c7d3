"""Sentences of long texts, and of those that sentencex cannot take as they are."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.languages import sentences
from isoglot.languages.sentences import segments

GERMAN = "Der Mond zieht das Meer an, und Dr. Meier hat z. B. gestern davon erzählt."
CHINESE = "他说：“图书馆开放。我来了。”读者最多可借五本书！"


def test_examples_in_docstrings():
    assert doctest.testmod(sentences).failed == 0


@pytest.mark.parametrize("blank", "\u00a0\u2003\u202f\u3000\u2028")
def test_wide_blanks_before_a_full_stop(blank):
    text = f"Die Wahl fiel auf Plan A{blank}. Danach kam der Winter."
    assert "".join(segments(text, "de")) == text


@pytest.mark.parametrize(("text", "lang", "blank"), [(GERMAN, "de", " "), (CHINESE, "zh", ""), (CHINESE, "zh", "\n\n")])
def test_long_texts_have_the_sentences_of_short_ones(text, lang, blank):
    few = segments((text + blank) * 5, lang)
    many = segments((text + blank) * 1500, lang)  # of several windows
    assert "".join(many) == (text + blank) * 1500
    assert {piece.strip() for piece in many} == {piece.strip() for piece in few}
    assert sum(bool(piece.strip()) for piece in many) == 300 * sum(bool(piece.strip()) for piece in few)


def test_paragraphs_of_long_texts_stay_apart():
    text = "".join(f"Kapitel {number}\n\nDer Anfang des Abschnitts\n\n" for number in range(4000))
    assert "".join(segments(text, "de")) == text


def test_long_texts_without_sentences():
    text = "ห้องสมุดเปิดทุกวัน" * 4000
    assert segments(text, "th") == [text]


def test_sentences_longer_than_a_window_end_where_they_end():
    """Windows do not grow: sentencex would take minutes for a line of quotation marks that are not closed."""
    long = "ห้องสมุดเปิดทุกวัน" * 4000
    quoted = " ".join("\u201cMond" for _ in range(8000))
    text = f"Anfang hier.\n\n{long}\n\nDer Mond.\n\n{quoted}\n\nEnde gut. Alles gut."
    pieces = segments(text, "de")
    assert "".join(pieces) == text
    assert [piece.strip() for piece in pieces if piece.strip() and len(piece) < 100] == [
        "Anfang hier.", "Der Mond.", "Ende gut.", "Alles gut."
    ]  # fmt: skip
    assert long in {piece.strip() for piece in pieces}


@given(
    st.text(st.sampled_from("AbÉД本.。!？… \n\u00a0\u3000\u200b\r\t”“(1"), max_size=400),
    st.sampled_from(["de", "en", "ja", "hi", "und"]),
)
def test_nothing_is_lost_between_windows(text, lang):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "_WINDOW", 50)
        patch.setattr(sentences, "_MARGIN", 10)
        assert "".join(segments(text, lang)) == text


@given(
    st.text(st.sampled_from("AbÉД本.。!？… \n\u00a0\u3000\u200b\r\t”(1"), max_size=60),
    st.sampled_from(["de", "en", "ja", "ml", "und"]),
)
def test_nothing_is_lost(text, lang):
    assert "".join(segments(text, lang)) == text
