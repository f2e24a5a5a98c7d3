"""`isoglot search` with filters, counts, pages, and passages around and like a result."""

import json

import pytest

from isoglot.cli import run
from support.encoders import wide_encoder
from support.rows import write_jsonl


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    home = tmp_path_factory.mktemp("searching")
    long = " ".join(f"Satz Nummer {n} steht hier über Gezeiten." for n in range(40))
    documents = [
        {"id": "long", "text": long, "lang": "de", "title": "Viel", "year": 2019},
        *({"id": f"n{n}", "text": f"Note {n} on tides", "lang": "en", "year": 2020 + n} for n in range(5)),
        {"id": "same", "text": "NOTE 1: on tides!", "lang": "en", "year": 2021},
    ]
    docs = write_jsonl(home / "docs.jsonl", documents)
    assert run(["index", str(docs), "-o", str(home / "index"), "--model", str(wide_encoder())]) == 0
    return str(home / "index")


def answered(capsys, *argv):
    code = run(["search", *argv])
    return code, capsys.readouterr()


def hits(capsys, *argv):
    code, said = answered(capsys, *argv, "--json")
    assert code == 0, said.err
    return json.loads(said.out)


def test_where_and_pages(capsys, index):
    words = [index, "tides", "--mode", "lexical", "--where", "year >= 2021 AND document LIKE 'n%'"]
    every = hits(capsys, *words)
    assert {hit["id"] for hit in every} == {"n1", "n2", "n3", "n4"}
    assert [hit["id"] for hit in hits(capsys, *words, "-k", "2", "--offset", "2")] == [hit["id"] for hit in every[2:]]
    assert hits(capsys, *words, "-k", "2", "--offset", "2")[0]["rank"] == 3
    code, said = answered(capsys, *words, "--offset", "4")
    assert (code, said.out) == (0, "nothing further\n")


def test_facets(capsys, index):
    code, said = answered(capsys, index, "tides", "--mode", "lexical", "-k", "1", "--facets", "lang,year", "--where",
                          "year > 2019")  # fmt: skip
    assert code == 0
    lines = said.out.splitlines()
    assert len(lines) == 3
    assert lines[1] == "lang of 6 passages: en 6"
    assert lines[2] == "year of 6 passages: 2021 2, 2020 1, 2022 1, 2023 1, 2024 1"
    found = hits(capsys, index, "tides", "--mode", "lexical", "--facets", "lang,year")
    assert found["facets"]["lang"]["values"][-1] == {"value": "en", "count": 6}
    assert "2021" in [str(entry["value"]) for entry in found["facets"]["year"]["values"]]


def test_collapsed_and_with_neighbours(capsys, index):
    words = [index, "gezeiten nummer", "--mode", "lexical"]
    (hit,) = hits(capsys, *words, "--collapse", "document", "--where", "lang = 'de'")
    assert len(hit["also"]) > 3
    found = hits(capsys, index, "note 1", "--mode", "lexical", "--collapse", "text", "--where", "lang = 'en'")
    assert {hit["id"] for hit in found} | {"n1", "same"} == {"n0", "n1", "n2", "n3", "n4", "same"}
    (twin,) = [hit for hit in found if hit["also"]]
    assert {twin["id"], *twin["also"]} == {"n1", "same"}
    (hit,) = hits(capsys, *words, "--where", "id = 'long#2'", "--neighbours", "1")
    assert [passage["id"] for passage in hit["before"] + hit["after"]] == ["long#1", "long#3"]
    _, said = answered(capsys, *words, "--where", "id = 'long#2'", "--neighbours", "1")
    assert [line.strip()[0] for line in said.out.splitlines()] == ["<", "1", ">"]


def test_like_a_passage(capsys, index):
    found = hits(capsys, index, "--like", "n1", "-k", "3", "--where", "document != 'long'")
    # The twin in other letters and signs is nearest, or not: but all are others.
    assert len(found) == 3
    assert "n1" not in {hit["document"] for hit in found}
    assert all(set(hit["parts"]) == {"dense"} for hit in found)


def test_a_line_shows_where_the_words_are(capsys, index):
    code, said = answered(capsys, index, "satz nummer", "--mode", "lexical", "-k", "1", "--where", "id = 'long#1'")
    assert code == 0
    assert "Satz Nummer" in said.out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["tides", "--where", "yaer = 1"],
            "--where: character 1: there is no field 'yaer'; did you mean 'year'? there are: lang, source",
        ),
        (["tides", "--where", "year ="], "--where: character 7: the filter ends here; expected a value"),
        (["tides", "--where", ""], "--where: the filter is empty"),
        (["tides", "--facets", "nothing"], "--facets: there is no field 'nothing'"),
        (["tides", "--collapse", "title"], "--collapse 'title': expected a sequence of 'document' and 'text'"),
        (["tides", "--offset", "-1"], "--offset -1: expected at least 0"),
        (["tides", "--neighbours", "99"], "--neighbours 99: expected 0 to 20"),
        (["tides", "--like", "n1"], "one of these"),
        ([], "one of these"),
        (["--like", "nowhere"], "there is no passage 'nowhere'"),
        (["--like", "n1", "--mode", "lexical"], "--like: searches with the passage's own vector"),
        (["--queries", "q.tsv", "--run", "r", "--offset", "3"], "are for one query"),
    ],
)
def test_what_cannot_be_is_named(capsys, index, argv, words):
    code, said = answered(capsys, index, *argv, *(["--mode", "lexical"] if "--like" not in argv else []))
    assert code == 2
    assert words in said.err
