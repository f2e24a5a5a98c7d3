"""Pages, collapsed results, neighbours, counts, and what is like a passage; against rankings worked out here."""

import doctest
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.search import collapsing
from isoglot.search.candidates import Candidate
from isoglot.search.index.building import build_index
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.paging import Looked, paged
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher

LANGS = ["de", "en", "zh"]


def embed(texts, role):
    """A vector for every text, the same whenever it is asked for."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=8) for text in texts]
    return np.array(rows, np.float32) / np.linalg.norm(rows, axis=1, keepdims=True)


def passages():
    """Ninety passages of thirty documents, and some that say the same in other dress."""
    made = [
        Passage(f"d{n}#{part}", f"d{n}", f"Common word{n % 4} n{n} part {part}", LANGS[n % 3], metadata={"n": n})
        for n in range(30)
        for part in (1, 2, 3)
    ]
    same = [Passage(f"s{n}", f"s{n}", f"COMMON  word{n % 4}; n{n} part 1!", LANGS[n % 3]) for n in range(6)]
    return made + same


@pytest.fixture(scope="module")
def searcher():
    made = passages()
    return Searcher(MemoryIndex(made, embed([passage.text for passage in made], "passage")), embed)


settings = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["dense", "lexical", "hybrid"]),
        "fair": st.sampled_from(["none", "balanced"]),
        "collapse": st.sampled_from([(), ("document",), ("text",), ("document", "text")]),
        "langs": st.sampled_from([None, ["de", "zh"]]),
        "where": st.sampled_from([None, "document != 'd3'"]),
    }
)


@given(how=settings, k=st.integers(1, 12), query=st.sampled_from(["common word1", "n3 part"]))
def test_pages_show_everything_once_whichever_is_asked_for(searcher, how, k, query):
    pages = []
    while page := searcher.search(query, k=k, offset=k * len(pages), **how):
        pages.append(page)
    shown = [hit for page in pages for hit in page]
    assert all(len(page) == k for page in pages[:-1])
    assert len({hit.id for hit in shown}) == len(shown)
    assert not {hit.id for hit in shown} & {id for hit in shown for id in hit.also}
    # Any offset reads on in the same sequence.
    for offset in (1, k // 2, k + 1):
        assert [hit.id for hit in searcher.search(query, k=k, offset=offset, **how)] == [
            hit.id for hit in shown[offset : offset + k]
        ]
    among = [
        passage
        for passage in passages()
        if (how["langs"] is None or passage.lang in how["langs"]) and (how["where"] is None or passage.document != "d3")
    ]
    if how["mode"] == "dense" or "common" in query:
        documents = {passage.document for passage in among}
        texts = {" ".join(passage.text.lower().replace(";", "").replace("!", "").split()) for passage in among}
        if not how["collapse"]:
            assert len(shown) == len(among)
        elif how["collapse"] == ("document",):
            assert sorted(hit.document for hit in shown) == sorted(documents)
        elif how["collapse"] == ("text",):
            assert len(shown) == len(texts)
        else:
            assert len({hit.document for hit in shown}) == len(shown)


def test_pages_are_slices_of_the_ranking_of_cosines(searcher):
    made = passages()
    scores = embed([passage.text for passage in made], "passage") @ embed(["ask"], "query")[0]
    ranked = [made[row].id for row in np.argsort(-scores, kind="stable")]
    assert [hit.id for hit in searcher.search("ask", k=10, offset=30)] == ranked[30:40]
    assert [hit.id for hit in searcher.search("ask", k=10, offset=90)] == ranked[90:]
    assert searcher.search("ask", k=10, offset=96) == []


@pytest.mark.parametrize("offset", [0, 12, 24])
def test_every_page_has_the_floor_of_every_language(searcher, offset):
    page = searcher.search("ask", k=12, offset=offset, fair="balanced", quota=1.0)
    assert Counter(hit.lang for hit in page) == {"de": 4, "en": 4, "zh": 4}


def test_a_document_is_shown_by_its_best_passage(searcher):
    every = searcher.search("ask", k=96)
    best = {}
    for hit in every:
        best.setdefault(hit.document, hit.id)
    collapsed = searcher.search("ask", k=36, collapse=["document"])
    assert [hit.id for hit in collapsed] == list(best.values())
    # All passages were looked at, so all the others are named.
    assert {id for hit in collapsed for id in (hit.id, *hit.also)} == {hit.id for hit in every}
    assert all(id.startswith(f"{hit.document}#") for hit in collapsed for id in hit.also)


def test_few_documents_of_many_passages_still_fill_a_page():
    made = [Passage(f"big#{n}", "big", f"big {n}", "de") for n in range(400)]
    made += [Passage(f"small{n}", f"small{n}", f"small {n}", lang) for n, lang in enumerate(["de", "en"] * 4)]
    vectors = np.zeros((len(made), 3), np.float32)
    vectors[:400] = [1, 0, 0]
    vectors[400:] = [0.8, 0.6, 0]
    searcher = Searcher(MemoryIndex(made, vectors), lambda texts, role: np.array([[1.0, 0, 0]] * len(texts)))
    for fair in ("none", "balanced"):
        hits = searcher.search("x", k=5, collapse=("document",), fair=fair)
        assert len({hit.document for hit in hits}) == 5
        assert hits[0].document == "big" or fair == "balanced"
        assert "big" in {hit.document for hit in hits}


def test_reranked_pages_end_where_reranking_ends(searcher):
    class Judge:
        def predict(self, pairs):
            return np.array([float(text.split()[-1].strip("!")) for _, text in pairs])

    first = searcher.search("ask", k=20, rerank=Judge())
    second = searcher.search("ask", k=20, offset=20, rerank=Judge(), collapse=("document",))
    assert [hit.text.split()[-1] for hit in first][:5] == ["3"] * 5
    assert len({hit.document for hit in second}) == len(second)
    with pytest.raises(InputError, match="only the 50 best are re-ranked"):
        searcher.search("ask", k=20, offset=40, rerank=Judge())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"offset": -1}, "offset -1: expected at least 0"),
        ({"offset": 1995}, "offset 1995 with `k` 10: results can be read up to the 2000th"),
        ({"collapse": ("title",)}, "collapse 'title': expected a sequence of 'document' and 'text'"),
        ({"collapse": "document"}, "collapse 'document': expected a sequence"),
    ],
)
def test_bad_pages_say_what_is_wrong(searcher, settings, words):
    with pytest.raises(InputError, match=words):
        searcher.search("x", **settings)


@pytest.fixture(scope="module", params=["memory", "stored"])
def both(request, tmp_path_factory):
    """The same documents in memory and stored; one in several passages."""
    long = " ".join(f"Satz Nummer {n} steht hier." for n in range(60))
    documents = [
        {"id": "long", "text": long, "lang": "de", "title": "Titel", "tags": ["a", "b"], "year": 2020},
        *({"id": f"n{n}", "text": f"Note {n}", "lang": "en", "year": 2020 + n % 3, "tags": ["b"]} for n in range(6)),
        {"id": "odd'", "text": "Odd", "lang": "en"},
    ]
    folder = tmp_path_factory.mktemp("both") / "index"
    build_index(documents, folder, embed, length=64)
    stored = Searcher.open(folder, embed)
    if request.param == "stored":
        return stored
    held = [passage for document in documents for passage in stored.document(document["id"])]
    texts = [f"{passage.title} {passage.text}".strip() for passage in held]
    return Searcher(MemoryIndex(held, embed(texts, "passage")), embed)


def test_neighbours_stand_before_and_after(both):
    parts = both.document("long")
    assert len(parts) > 4
    around = both.neighbours("long#3", 2)
    assert [passage.id for passage in around.before] == ["long#1", "long#2"]
    assert [passage.id for passage in around.after] == ["long#4", "long#5"]
    assert both.neighbours(parts[0].id).before == []
    assert both.neighbours(parts[-1].id).after == []
    assert both.neighbours("odd'") == ([], [])
    with pytest.raises(InputError, match="there is no passage 'nowhere'"):
        both.neighbours("nowhere")
    with pytest.raises(InputError, match="neighbours 21: expected 0 to 20"):
        both.neighbours("n1", 21)


def test_neighbours_of_hits_are_those_of_each_and_documents_are_read_once(both, monkeypatch):
    hits = both.search("Satz Nummer", k=9, fair="balanced")
    assert len({hit.document for hit in hits}) < len(hits)
    expected = {hit.id: both.neighbours(hit.id, 2) for hit in hits}
    read, document = [], both._index.document
    monkeypatch.setattr(both._index, "document", lambda id: read.append(id) or document(id))
    assert both.neighbours_of(hits, 2) == expected
    assert sorted(read) == sorted({hit.document for hit in hits})
    with pytest.raises(InputError, match="neighbours 21: expected 0 to 20"):
        both.neighbours_of(hits, 21)


def test_more_like_a_passage_is_by_its_vector_and_of_other_documents(both):
    texts = {f"n{n}": f"Note {n}" for n in range(6)}
    own = embed(["Note 2"], "passage")[0]
    others = [id for id in texts if id != "n2"]
    cosines = {id: float(embed([texts[id]], "passage")[0] @ own) for id in others}
    wanted = sorted(others, key=lambda id: -cosines[id])
    hits = both.more_like("n2", where="document LIKE 'n%'")
    assert [hit.id for hit in hits] == wanted
    assert hits[0].score == pytest.approx(cosines[wanted[0]], abs=1e-5)
    assert [hit.id for hit in both.more_like("n2", where="document LIKE 'n%'", k=2, offset=2)] == wanted[2:4]
    assert {hit.document for hit in both.more_like("long#2", k=50)} == {*texts, "odd'"}
    with pytest.raises(InputError, match="there is no passage 'nowhere'"):
        both.more_like("nowhere")
    with pytest.raises(InputError, match="more_like takes no mode; expected some of collapse, fair"):
        both.more_like("n2", mode="lexical")


def test_facets_count_what_the_filter_leaves(both):
    parts = len(both.document("long"))
    found = both.facets(["lang", "year", "tags"])
    assert dict(found["lang"].counts) == {"de": parts, "en": 7}
    assert list(found["year"].counts.items()) == [(2020, parts + 2), (2021, 2), (2022, 2)]
    assert found["tags"] == ({"b": parts + 6, "a": parts}, 0, parts + 7, 1)
    narrow = both.facets(("year", "metadata.tags"), where="year > 2020", langs=["EN"], values=1)
    assert narrow["year"] == ({2021: 2}, 1, 4, 0)
    assert narrow["metadata.tags"].counts == {"b": 4}
    for names, words in ((["yaer"], "facets: there is no field 'yaer'; did you mean 'year'"), ("year", "a sequence")):
        with pytest.raises(InputError, match=words):
            both.facets(names)
    with pytest.raises(InputError, match="langs: no fr"):
        both.facets(["lang"], langs=["fr"])


def test_a_number_is_counted_once_whatever_its_sign_when_it_is_nothing(tmp_path):
    notes = [{"id": str(n), "text": f"two {n}", "y": y} for n, y in enumerate((0.0, 0, -0.0))]
    build_index(notes, tmp_path / "i", embed)
    searcher = Searcher.open(tmp_path / "i", embed)
    assert searcher.facets(["y"])["y"] == ({0.0: 3}, 0, 3, 0)
    searcher.close()


def test_a_text_of_a_list_is_counted_once_whatever_else_it_is(tmp_path):
    lists = [["2024", "draft"], ["2024", 2024], [2024, 7.5], ["2024.0"]]
    notes = [{"id": str(n), "text": f"two {n}", "tags": tags} for n, tags in enumerate(lists)]
    build_index(notes, tmp_path / "i", embed)
    expected = {"2024": 2, "draft": 1, 2024.0: 1, 7.5: 1, "2024.0": 1}
    for place in (tmp_path / "i", f"memory:{tmp_path / 'i'}"):
        searcher = Searcher.open(place, embed)
        assert searcher.facets(["tags"])["tags"].counts == expected
        assert len(searcher.search("x", where="tags = 2024")) == 4  # filters find it as either
        searcher.close()


def test_what_was_counted_once_is_kept_and_nobody_can_change_it():
    class Counting(MemoryIndex):
        counted = 0

        def tally(self, *args):
            self.counted += 1
            return super().tally(*args)

    made = [Passage("a", "a", "one", "en", metadata={"n": 1}), Passage("b", "b", "two", "en", metadata={"n": True})]
    index = Counting(made, embed(["one", "two"], "passage"))
    searcher = Searcher(index, embed)
    for _ in range(3):
        found = searcher.facets(["lang", "n"])
        assert found["lang"].counts == {"en": 2}
        found["lang"].counts.clear()
    assert index.counted == 2
    for where, left in (("n = 1", [1.0]), ("n = true", [True])):
        assert str([*searcher.facets(["n"], where=where)["n"].counts]) == str(left)
    assert index.counted == 4


def test_doctest():
    done = doctest.testmod(collapsing)
    assert done.attempted
    assert not done.failed


def test_the_words_of_a_passage_are_looked_for_once_however_deep_a_page_lies(monkeypatch):
    made, asked = passages(), Counter()

    def counted(text):
        asked[text] += 1
        return text

    monkeypatch.setattr(collapsing, "bare_words", counted)
    searcher = Searcher(MemoryIndex(made, embed([passage.text for passage in made], "passage")), embed)
    assert len(searcher.search("common word1", k=1, offset=60, fair="balanced", collapse=("text",))) == 1
    assert len(asked) > 60
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_was_found_is_gone_through_once_however_many_pages_come_before(share):
    class Gone(list):
        times = 0

        def __iter__(self):
            self.times += 1
            return super().__iter__()

    found = Gone(Candidate(passage, {}, -place) for place, passage in enumerate(passages()))
    page = paged(lambda depth: Looked(found, ()), 2, 30, depth=2, share=share, collapse=("document",))
    assert found.times == 1
    # Thirty documents of three passages, and six of one.
    assert [candidate.passage.id for candidate in page] == ["s0", "s1"]
