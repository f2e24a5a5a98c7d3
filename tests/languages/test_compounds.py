"""Terms of words with signs: which there are, where they are, and that no text makes them slow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.languages.compounds import compounds
from isoglot.languages.matched_words import marks
from isoglot.languages.normal_form import search_form
from isoglot.languages.words import search_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("E-Mail", ["email"]),
        ("NFL-Saison Mail-Server", []),
        ("rock-n-roll", ["rockn", "nroll", "rocknroll"]),
        ("Python 3.11, v2.0.1", ["3-11", "v2-0", "0-1"]),
        ("AB-123/45", ["ab123", "123-45", "ab12345"]),
        ("2001:db8::1", ["2001db8", "db8-1", "2001db81"]),
        ("1,234,567.89", ["1234567", "1234567-89"]),
        ("12,50,000 0,039 192.168.1.1", ["1250000", "0-039", "192-168", "168-1", "1-1", "19216811"]),
        ("12'500 12\u00a0500 d'eau", ["12500", "12500"]),
        ("½", ["1-2"]),
        ("max_len", ["maxlen"]),
        ("C++/C# Notepad++ LGBT+ a+b", ["c++c#", "notepad++", "lgbt+", "ab"]),
        (".NET (.env) ...and f().map #tag @anna", [".net", ".env", "fmap", "#tag", "@anna"]),
        ("word - word, word. Word (word)", []),
        ("第3.11条 Wi-Fi接続 図-表", ["3-11", "wifi"]),
        ("Disney+で LGBT+的 基于.NET的 用.c文件", ["disney+", "lgbt+", ".net", ".c"]),
    ],
)
def test_what_is_joined(text, terms):
    assert [term for term, _, _ in compounds(search_form(text))] == terms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("C++, C#", ["c++", "c#"]),
        ("C++20", ["c++", "20"]),
        ("C#7 A+ a+b q#x", ["c#", "7", "a+", "a", "b", "q", "x"]),
        ("ab# 3+ 한# é# x̂+", ["ab", "3", "한", "e#", "x+"]),
        ("A+级 C#で C++을 C#и", ["a+", "级", "c#", "で", "c++", "을", "c", "и"]),
        ("用C#写 ใน C++ไป", ["用", "c#", "写", "ใน", "c++", "ไป"]),
        ("м'я++ צה\"ל# क्क+", ["м'я", 'צה"ל', 'צה"*', "क्क", "क्क*"]),
    ],
)
def test_signs_of_a_single_letter_are_part_of_it(text, words):
    terms = search_terms(search_form(text))
    assert terms[: len(words)] == words
    assert [word.rstrip("+#") for word in words] == search_terms(search_form(text), signs=False)


signed = st.text(st.sampled_from("aBcд1२3.,-'/+#:(@ \u00a0é図"), max_size=40)


@given(signed)
def test_they_are_where_they_say(text):
    form = search_form(text)
    for term, start, end in compounds(form):
        assert " " not in form[start:end]
        assert "".join(filter(str.isalnum, form[start:end])) == "".join(filter(str.isalnum, term))


@given(st.lists(signed, min_size=1, max_size=3), st.data())
def test_a_part_between_spaces_finds_and_marks_itself(parts, data):
    text = " ".join(parts)
    part = data.draw(st.sampled_from(parts))
    own = {term for term, _, _ in compounds(search_form(part))}
    assert own <= {term for term, _, _ in compounds(search_form(text))}
    assert own <= {mark.term for mark in marks(text, part)}
