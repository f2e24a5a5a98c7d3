"""The language of filters: what it reads, what it refuses and where, and which passages are so (by hand)."""

import doctest

import pytest

from isoglot.core.errors import InputError
from isoglot.search.filters import checking, evaluation, parsing, sql, tokens, values
from isoglot.search.filters.checking import OWN_FIELDS, checked_filter
from isoglot.search.filters.evaluation import like, matches
from isoglot.search.filters.parsing import parse_filter
from isoglot.search.filters.tokens import FilterError
from isoglot.search.filters.tree import DAY, Among, And, Compare, Date, Like, Missing, Not, Or
from isoglot.search.filters.values import metadata_values
from isoglot.search.index.approximate import probes_for
from isoglot.search.passage import Passage

FIELDS = {
    **OWN_FIELDS,
    "year": ["number"],
    "when": ["text", "date"],
    "tags": ["texts"],
    "open": ["boolean"],
    "by.name": ["text"],
    "odd field": ["text"],
}


def test_precedence_brackets_and_case():
    a, b, c = (Compare(name, "=", 1.0, at) for name, at in (("a", 1), ("b", 10), ("c", 20)))
    assert parse_filter("a = 1 OR b = 1 and c = 1") == Or((a, And((b, Compare("c", "=", 1.0, 20)))))
    assert parse_filter("a = 1 or  b = 1 AND c = 1") == Or((a, And((Compare("b", "=", 1.0, 11), c_at(c, 21)))))
    assert parse_filter("(a = 1 OR b = 1) AND c = 1") == And(
        (Or((Compare("a", "=", 1.0, 2), Compare("b", "=", 1.0, 11))), c_at(c, 22))
    )
    assert parse_filter("NOT a = 1 AND b = 1") == And((Not(Compare("a", "=", 1.0, 5)), Compare("b", "=", 1.0, 15)))
    assert parse_filter("not not (a = 1)") == Not(Not(Compare("a", "=", 1.0, 10)))


def c_at(condition, at):
    return Compare(condition.field, condition.operator, condition.value, at)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a = 'it''s'", Compare("a", "=", "it's", 1)),
        ("a <> -1.5e3", Not(Compare("a", "=", -1500.0, 1))),
        ("a!=true", Not(Compare("a", "=", True, 1))),
        ('"AND" >= .5', Compare("AND", ">=", 0.5, 1)),
        ('"a ""b""" < 1', Compare('a "b"', "<", 1.0, 1)),
        ("größe-x.y IN ('a',2 , false)", Among("größe-x.y", ("a", 2.0, False), 1)),
        ("a NOT IN ('b')", Not(Among("a", ("b",), 1))),
        ("a LIKE 'b%'", Like("a", "b%", 1)),
        ("a NOT LIKE '_'", Not(Like("a", "_", 1))),
        ("a IS NULL", Missing("a", 1)),
        ("a is not null", Not(Missing("a", 1))),
        ("a = 1970-01-02", Compare("a", "=", Date(DAY, DAY), 1)),
        ("a > 1970-01-01T02:00+01:00", Compare("a", ">", Date(3_600_000_000), 1)),
        ("a > 1970-01-01 00:00:00.5Z", Compare("a", ">", Date(500_000), 1)),
    ],
)
def test_conditions(text, tree):
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the filter is empty"),
        ("  ", "the filter is empty"),
        ("year", "character 5: the filter ends here; expected one of = != <"),
        ("year >=", "character 8: the filter ends here; expected a value"),
        ("year = abc", "character 8: 'abc'; expected a value; write texts in single quotes"),
        ('source = "a"', "character 10: 'a'; expected a value; write texts in single quotes"),
        ("year = 'a", "character 8: this quote is never closed"),
        ('"year = 1', "character 1: this quote is never closed"),
        ("year = 1 AND", "character 13: the filter ends here; expected the name of a field"),
        ("year = 1 lang = 'de'", "character 10: 'lang'; expected AND, OR, or the end"),
        ("(year = 1", "character 10: the filter ends here; expected AND, OR, or a closing bracket"),
        ("year = 1)", "character 9: ')'; expected AND, OR, or the end"),
        ("year IN 1", "character 9: '1'; expected values in brackets"),
        ("year IN ()", "character 10: ')'; expected a value"),
        ("year IN (1 2)", "character 12: '2'; expected a comma or a closing bracket"),
        ("year NOT 1", "character 10: '1'; expected IN or LIKE after NOT"),
        ("year LIKE 1", "character 11: '1'; expected a text in single quotes after LIKE"),
        ("year IS 1", "character 9: '1'; expected NULL or NOT NULL"),
        ("year = 2024-02-30", "character 8: '2024-02-30'; there is no such date"),
        ("year = 2024-5-1", "character 8: '2024-5-1' is neither a number nor a date"),
        ("year = 12abc", "character 8: '12abc' is neither a number nor a date"),
        ("year = 1e999", "character 8: '1e999'; expected a number"),
        ("year ; 1", "character 6: ';' is not allowed here"),
        ("NOT " * 50 + "year = 1", "more than 40 nested brackets and NOTs"),
        ("(" * 50 + "year = 1" + ")" * 50, "more than 40 nested brackets and NOTs"),
        (" OR ".join(["year = 1"] * 201), "more than 200 conditions"),
        ("year = 1" + " " * 17_000, "17008 characters; expected at most 16384"),
        ("yaer = 1", "character 1: there is no field 'yaer'; did you mean 'year'? there are: lang, source, document"),
        ("YEAR = 1", "character 1: there is no field 'YEAR'; did you mean 'year'? there are: lang, source, document"),
        ("year = 1 AND x = 1", "character 14: there is no field 'x'; there are: lang"),
        ("x = 1", "year (numbers), when (dates, texts), tags (lists of texts), open (true and false)"),
        ("year = '2020'", "character 1: 'year' holds numbers, and '2020' is none of them; leave the quotes out"),
        ("lang = 1", "character 1: 'lang' holds texts, and 1 is none of them; write texts in single quotes"),
        ("year IN (1, true)", "'year' holds numbers, and true is none of them"),
        ("year > 2020-01-01", "'year' holds numbers, and a date is none of them"),
        ("tags < 'a'", "'tags' holds lists of texts; lists take =, != and IN"),
        ("open > false", "true and false have no order"),
        ("tags LIKE 'a%'", "'tags' holds lists of texts; LIKE is for single texts"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(text, said):
    with pytest.raises(InputError) as error:
        checked_filter(text, FIELDS)
    assert said in str(error.value)
    assert str(error.value).startswith("where")


def test_names_and_codes_as_the_index_spells_them():
    assert checked_filter("lang IN ('zh-CN', 'DE', 'nothing')", FIELDS) == Among("lang", ("zh", "de", "nothing"), 1)
    assert checked_filter("metadata.year = 1", FIELDS) == Compare("year", "=", 1.0, 1)
    fields = {**FIELDS, "metadata.lang": ["text"]}
    assert checked_filter("metadata.lang = 'x'", fields) == Compare("metadata.lang", "=", "x", 1)
    with pytest.raises(InputError, match=r"no field 'metadata\.lang'"):
        checked_filter("metadata.lang = 'x'", FIELDS)


def test_values_of_metadata_by_hand():
    assert metadata_values(
        {
            "n": 3,
            "yes": True,
            "csv": "1e3",
            "day": "2024-05-01",
            "time": "1970-01-01T00:00:01Z",
            "none": None,
            "nan": float("nan"),
            "deep": {"er": {"still": "x"}, "list": [1, "2", None, {"a": 1}]},
            "empty": [],
            "lang": "xx",
            "huge": 10**400,
            "half": "a\ud800",
        }
    ) == {
        "n": {"number": 3.0},
        "yes": {"boolean": True},
        "csv": {"text": "1e3", "number": 1000.0},
        "day": {"text": "2024-05-01", "date": 19844 * DAY},
        "time": {"text": "1970-01-01T00:00:01Z", "date": 1_000_000},
        "deep.er.still": {"text": "x"},
        "deep.list": {"texts": ["2"], "numbers": [1.0, 2.0]},
        "metadata.lang": {"text": "xx"},
        "half": {"text": "a\ufffd"},
    }


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("lang = 'de'", "ab"),
        ("lang != 'de'", "c"),
        ("year = 2020", "a"),
        ("year != 2020", "bc"),  # c has none
        ("NOT year >= 2020", "c"),
        ("year < 2022", "ab"),
        ("year IS NULL", "c"),
        ("tags = 'x'", "ab"),
        ("tags NOT IN ('y', 'z')", "ac"),
        ("when = 2024-05-01", "ab"),
        ("when <= 2024-05-01", "ab"),
        ("when < 2024-05-01", ""),
        ("when > 2024-04-30", "ab"),
        ("when > 2024-05-01T11:59Z", "b"),
        ("when >= 2024-05-01T12:00Z", "b"),
        ("when = 2024-05-01T12:00Z", "b"),
        ("title LIKE 'A%'", "a"),
        ("title LIKE '_b_'", "b"),
        (r"title LIKE '50\%'", "c"),
        ("title LIKE '%'", "abc"),
        ("document IN ('a', 'c') AND (year = 2020 OR lang = 'en')", "ac"),
        ("id = 'a#1' OR year = 2021 AND lang = 'en'", "a"),
    ],
)
def test_which_passages_are_so_by_hand(text, so):
    fields = {**OWN_FIELDS, "year": ["number"], "tags": ["texts"], "when": ["text", "date"]}
    passages = [
        Passage("a#1", "a", "", "de", "Ab", metadata={"year": 2020, "tags": ["x"], "when": "2024-05-01"}),
        Passage("b", "b", "", "de", "\nb\n", metadata={"year": 2021, "tags": ["x", "y"], "when": "2024-05-01T12:00Z"}),
        Passage("c", "c", "", "en", "50%"),
    ]
    tree = checked_filter(text, fields)
    assert "".join(passage.document for passage in passages if matches(tree, passage)) == so


@pytest.mark.parametrize("module", [checking, evaluation, parsing, sql, tokens, values])
def test_doctests(module):
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


def test_partitions_that_a_filter_has_probed():
    ann = {"probes": 8, "partitions": 3000}
    assert probes_for(ann, 9_000_000, 9_000_000) == 8
    # All of them, even if there are somewhat more; of three million left, those of a million.
    assert [probes_for(ann, 9_000_000, left) for left in (0, 5, 1_000_000, 3_000_000)] == [6000, 6000, 6000, 2000]
    assert probes_for({"probes": 64, "partitions": 90}, 10**9, 10**8) == 64


def test_no_pattern_of_like_takes_long():
    """Patterns that a backtracking matcher would never be done with."""
    assert not like("%_" * 60 + "~", "x" * 200)
    assert like("%_" * 60, "x" * 60)
    assert not like("%_" * 61, "x" * 60)
    assert like("%a%b_%%c", "xxaxbxbyxc")
    assert not like("%ab%ba%", "aba")


def test_half_a_character_is_named():
    with pytest.raises(FilterError, match="where: character 11 is incomplete"):
        parse_filter("title = 'x\udc80'")
