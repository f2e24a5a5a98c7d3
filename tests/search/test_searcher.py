import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from isoglot.core.errors import InputError
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import center
from isoglot.encoders.encoding import ModelEmbedder
from isoglot.encoders.functions import FunctionEmbedder
from isoglot.encoders.loading import load
from isoglot.search.expansion import Expander
from isoglot.search.index.building import build_index
from isoglot.search.index.encoder_check import open_like
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.query_encoding import as_rows
from isoglot.search.searcher import Searcher


def collection(seed=0):
    """60 English, 30 German and 6 Thai passages; the model puts each language elsewhere and is fondest of English.

    One passage of each language (number 0) answers the query.
    """
    rng = np.random.default_rng(seed)
    passages, vectors = [], []
    topic = np.eye(16)[0]
    for lang, count, axis, fondness in (("en", 60, 1, 2.0), ("de", 30, 2, 1.0), ("th", 6, 3, 0.3)):
        for number in range(count):
            own = fondness * np.eye(16)[axis] + 0.15 * rng.normal(size=16) + (1.8 * topic if number == 0 else 0)
            passages.append(Passage(f"{lang}{number}", f"{lang}{number}", f"{lang} text {number}", lang))
            vectors.append(own / np.linalg.norm(own))
    query = topic + 1.5 * np.eye(16)[1] + 0.4 * np.eye(16)[2]
    return passages, np.array(vectors, np.float32), (query / np.linalg.norm(query)).astype(np.float32)


@pytest.fixture
def searcher():
    passages, vectors, query = collection()
    return Searcher(
        MemoryIndex(passages, vectors), lambda texts, role: np.stack([query] * len(texts)), model_name="made up"
    )


def test_dense_search_is_the_order_of_cosines(searcher):
    passages, vectors, query = collection()
    best = np.argsort(-(vectors @ query), kind="stable")[:10]
    hits = searcher.search("any", k=10)
    assert [hit.id for hit in hits] == [passages[n].id for n in best]
    np.testing.assert_allclose([hit.score for hit in hits], (vectors @ query)[best], atol=1e-6)
    assert all(hit.parts == {"dense": hit.score} for hit in hits)


def test_what_is_around_a_query_changes_nothing():
    """A line end that a file of queries leaves, spaces, control characters: HTTP removes them, and so does Python."""
    passages, vectors, _ = collection()
    asked = []

    def embed(texts, role):
        asked.extend(texts)
        return np.random.default_rng(len(texts[0])).normal(size=(len(texts), 16))

    searcher = Searcher(MemoryIndex(passages, vectors), embed)
    plain = searcher.search("en text 7", mode="hybrid")
    for query in ("en text 7\n", "  en text 7", "en\x00text 7", "en text 7\ud800"):
        assert searcher.search(query, mode="hybrid") == plain
        assert searcher.search_many([query, query], mode="hybrid") == [plain, plain]
        np.testing.assert_array_equal(searcher.query_vectors([query]), searcher.query_vectors(["en text 7"]))
    assert set(asked) <= {"en text 7", "warm"}
    with pytest.raises(InputError, match="the query has 0 characters"):
        searcher.search("\x00 ")


def test_balanced_takes_the_preference_out(searcher):
    plain = searcher.search("any", k=12)
    assert {hit.lang for hit in plain} == {"en"}
    fair = searcher.search("any", k=6, fair="balanced")
    assert {hit.id for hit in fair} >= {"en0", "de0", "th0"}
    assert all(set(hit.parts) == {"dense", "balanced"} for hit in fair)
    assert [hit.score for hit in fair] == sorted((hit.score for hit in fair), reverse=True)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_balanced_ranking_is_the_same_however_much_of_it_is_asked_for(searcher, k):
    whole = searcher.search("any", k=90, fair="balanced", quota=0)
    some = searcher.search("any", k=k, fair="balanced", quota=0)
    assert [(hit.id, hit.score) for hit in some] == [(hit.id, pytest.approx(hit.score)) for hit in whole[:k]]


@pytest.mark.parametrize("kept", [(), ("en",)])
def test_a_store_without_samples_is_balanced_by_what_is_found(kept, monkeypatch):
    passages, vectors, query = collection()
    index = MemoryIndex(passages, vectors)
    sample = index.sample
    monkeypatch.setattr(index, "sample", lambda lang: sample(lang)[: None if lang in kept else 0])
    bare = Searcher(index, lambda texts, role: np.stack([query] * len(texts)), model_name="made up")
    whole = bare.search("any", k=90, fair="balanced", quota=0)
    assert bool(kept) or {hit.id for hit in whole[:6]} >= {"en0", "de0", "th0"}
    assert [hit.id for hit in bare.search("any", k=4, fair="balanced", quota=0)] == [hit.id for hit in whole[:4]]


def test_quota_is_a_floor_for_every_language(searcher):
    hits = searcher.search("any", k=12, fair="balanced", quota=1.0)
    assert {lang: sum(hit.lang == lang for hit in hits) for lang in ("en", "de", "th")} == {"en": 4, "de": 4, "th": 4}
    free = searcher.search("any", k=12, fair="balanced", quota=0.0)
    assert [hit.score for hit in free] == sorted((hit.score for hit in free), reverse=True)


def test_lexical_search_finds_words_and_deals_languages_out_in_turn(searcher):
    hits = searcher.search("text 7", mode="lexical", k=4)
    assert {hit.id for hit in hits[:2]} == {"en7", "de7"}
    fair = searcher.search("text", mode="lexical", k=6, fair="balanced", quota=0)
    assert [sorted(hit.lang for hit in fair[n : n + 3]) for n in (0, 3)] == [["de", "en", "th"]] * 2
    assert searcher.search("nowhere", mode="lexical") == []


def test_hybrid_is_made_of_meaning_and_of_the_share_of_words(searcher):
    dense = {hit.id: hit.score for hit in searcher.search("text 7", k=50)}
    lexical = {hit.id: hit.score for hit in searcher.search("text 7", mode="lexical", k=50)}
    first, last = max(dense.values()), min(dense.values())
    hits = searcher.search("text 7", mode="hybrid", k=10)
    for hit in hits:
        share = len({"text", "7"} & set(f"{hit.title} {hit.text}".lower().split())) / 2
        expected = (dense[hit.id] - last) / (first - last) if hit.id in dense else 0
        # Every passage has "text"; one that is not among the 50 best matches is taken for the last of them.
        bm25 = lexical.get(hit.id, min(lexical.values()))
        expected += 1.25 * bm25 / max(lexical.values()) * share**2
        assert hit.score == hit.parts["hybrid"] == pytest.approx(expected)
        assert {"dense", "lexical"} & set(hit.parts)
    assert {hit.id for hit in hits[:2]} == {"en7", "de7"}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("fair", ["none", "balanced"])
def test_a_hybrid_ranking_is_the_same_however_much_of_it_is_asked_for(searcher, fair):
    few, many, more = (searcher.search("text 7", mode="hybrid", fair=fair, quota=0, k=k) for k in (5, 50, 96))
    assert [(hit.id, hit.score) for hit in few] == [(hit.id, hit.score) for hit in many[:5]]
    assert [(hit.id, hit.score) for hit in many] == [(hit.id, hit.score) for hit in more[:50]]


def test_equal_hybrid_scores_keep_their_order_however_much_is_asked_for():
    # All have the query's words alike, so that the nearest come first, and those further down have equal scores.
    passages = [Passage(f"p{n}", f"p{n}", "boats in a harbour", "en") for n in range(80)]
    angles = np.random.default_rng(0).permutation(np.linspace(0.1, 1.2, 80))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    query = np.array([[1, 0]], np.float32)
    found = Searcher(MemoryIndex(passages, vectors), lambda texts, role: query)
    few, all_of_them = (found.search("boats", mode="hybrid", k=k) for k in (60, 80))
    assert [(hit.id, hit.score) for hit in few] == [(hit.id, hit.score) for hit in all_of_them[:60]]


def test_a_word_that_many_passages_have_leaves_the_nearest_where_they_are():
    # BM25 likes the short ones; the nearest twenty are long, and have the word as well.
    passages = [Passage(f"p{n}", f"p{n}", "war" + " and more" * (9 if n < 20 else n % 5), "en") for n in range(300)]
    angles = np.linspace(0.1, 1.2, 300)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    query = np.array([[1, 0]], np.float32)
    found = Searcher(MemoryIndex(passages, vectors), lambda texts, role: query)
    assert [hit.id for hit in found.search("war", mode="hybrid", k=5)] == [f"p{n}" for n in range(5)]


def test_one_passage_twice_is_one_result():
    twice = Passage("a", "a", "a text", "en")
    index = MemoryIndex([twice] * 60, np.ones((60, 2), np.float32) / np.sqrt(2))
    hits = Searcher(index, lambda texts, role: np.ones((1, 2), np.float32)).search("text", mode="hybrid", k=5)
    assert [hit.id for hit in hits] == ["a"]


def test_words_that_nothing_has_leave_the_ranking_by_meaning(searcher):
    dense = searcher.search("nowhere", k=10)
    assert [hit.id for hit in searcher.search("nowhere", mode="hybrid", k=10)] == [hit.id for hit in dense]


@pytest.mark.parametrize("fair", ["none", "balanced"])
def test_a_name_that_one_passage_has_finds_it_first(fair):
    passages, vectors, query = collection()
    named = replace(passages[-1], text="Zugspitze")
    found = Searcher(MemoryIndex([*passages[:-1], named], vectors), lambda texts, role: query[None])
    assert found.search("Zugspitze", k=1, fair=fair)[0].id != named.id
    assert found.search("Zugspitze", k=1, mode="hybrid", fair=fair)[0].id == named.id


def test_languages_filter(searcher):
    assert {hit.lang for hit in searcher.search("any", langs=["de", "th"], k=40)} == {"de", "th"}
    assert {hit.lang for hit in searcher.search("any", langs=["th"], fair="balanced")} == {"th"}
    assert searcher.languages() == {"de": 30, "en": 60, "th": 6}


class Lengths:
    """A cross-encoder that likes long passage numbers and notes what it was asked."""

    def predict(self, pairs):
        self.pairs = pairs
        return np.array([float(text.split()[-1]) for _, text in pairs], np.float32)


def test_reranking_orders_by_the_cross_encoder(searcher):
    model = Lengths()
    hits = searcher.search("any", k=5, rerank=model)
    assert len(model.pairs) == 50
    numbers = [int(hit.text.split()[-1]) for hit in hits]
    assert numbers == sorted(numbers, reverse=True)
    assert hits[0].score == hits[0].parts["rerank"]
    fair = searcher.search("any", k=6, rerank=model, fair="balanced")
    assert len(model.pairs) == 50
    assert {hit.lang for hit in fair} == {"en", "de", "th"}
    assert all(hit.score == hit.parts["balanced"] < hit.parts["rerank"] for hit in fair)
    with pytest.raises(InputError, match="cross-encoder /none: no such model folder"):
        searcher.search("any", rerank="/none")


def test_a_reranker_that_is_fond_of_a_language_is_balanced_too(searcher):
    class Fond:
        def predict(self, pairs):
            return np.array([6.0 * ("en" in text) + 5.0 * text.endswith(" 0") for _, text in pairs], np.float32)

    plain = searcher.search("any", k=6, rerank=Fond())
    assert {hit.lang for hit in plain} == {"en"}
    fair = searcher.search("any", k=6, rerank=Fond(), fair="balanced", quota=0)
    assert {hit.id for hit in fair[:3]} == {"en0", "de0", "th0"}
    assert [hit.score for hit in fair] == sorted((hit.score for hit in fair), reverse=True)


@pytest.mark.parametrize("fair", ["none", "balanced"])
def test_a_reranker_that_gives_no_number_is_refused(searcher, fair):
    class Unsure:
        def predict(self, pairs):
            return np.array([np.nan, *np.ones(len(pairs) - 1)])

    with pytest.raises(InputError, match="a score that is not a finite number"):
        searcher.search("any", rerank=Unsure(), fair=fair)


def test_a_real_cross_encoder(searcher, tmp_path):
    from sentence_transformers import CrossEncoder

    from support.models import cross_encoder

    cross_encoder(tmp_path)
    hits = searcher.search("any", k=3, rerank=str(tmp_path))
    expected = CrossEncoder(str(tmp_path)).predict([("any", hit.text) for hit in hits])
    np.testing.assert_allclose([hit.score for hit in hits], expected, atol=1e-5)


def test_corrected_queries():
    passages, vectors, query = collection()
    fitted = center([Sample(vectors, [passage.lang for passage in passages], "passage")])
    searcher = Searcher(MemoryIndex(passages, vectors), lambda texts, role: query[None], debias=fitted)
    expected = fitted.apply(query[None], ["de"], "query")[0] @ vectors.T
    hits = searcher.search("Wie hoch ist der Berg?", k=3)
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1][:3], atol=1e-6)


@pytest.mark.parametrize(
    ("query", "settings", "words"),
    [
        ("", {}, "0 characters"),
        ("x" * 9000, {}, "9000 characters"),
        ("x", {"k": 0}, "k 0"),
        ("x", {"k": 5000}, "k 5000"),
        ("x", {"mode": "odd"}, "mode 'odd'"),
        ("x", {"fair": "odd"}, "fair 'odd'"),
        ("x", {"quota": 2}, "quota 2"),
        ("x", {"langs": ["de", "xx"]}, "no xx in this index"),
        ("x", {"langs": []}, "an empty list"),
        ("x", {"query_lang": "qq"}, "query_lang 'qq' is not a language code"),
        ("x", {"query_lang": "jp"}, "did you mean 'ja'"),
        ("x", {"query_lang": "", "mode": "lexical"}, "query_lang ''"),
    ],
)
def test_bad_requests_say_what_is_wrong(searcher, query, settings, words):
    with pytest.raises(InputError, match=words):
        searcher.search(query, **settings)


def test_queries_may_be_in_languages_that_the_index_lacks(searcher):
    plain = [hit.id for hit in searcher.search("any")]
    for code in ("de", "DE", "deu", "fr", "zh-Hant", "pt_BR", "und"):
        assert [hit.id for hit in searcher.search("any", query_lang=code)] == plain
    passages, vectors, query = collection()
    odd = [Passage(passage.id, passage.document, passage.text, "qq") for passage in passages]
    assert Searcher(MemoryIndex(odd, vectors), lambda texts, role: query[None]).search("any", query_lang="qq")


def test_half_surrogates_and_threads(searcher):
    assert searcher.search("a\ud800b", k=1, mode="hybrid")
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(searcher.search("any")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [10] * 8


def test_words_can_be_searched_without_an_encoder():
    passages, vectors, _ = collection()
    words = Searcher(MemoryIndex(passages, vectors))
    assert words.search("text", mode="lexical")
    with pytest.raises(InputError, match="no encoder"):
        words.search("text")


class Endpoint:
    """A stand-in for an OpenAI-compatible server: answers are taken from a list, in order."""

    def __init__(self):
        self.answers, self.asked = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, request["messages"][0]["content"]))
                answer = outer.answers.pop(0)
                if answer is TimeoutError:
                    outer.release.wait(5)
                    return
                status, body = answer if isinstance(answer, tuple) else (200, reply(answer))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.release = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def reply(text):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return json.dumps({"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.release.set()
    made.server.shutdown()
    made.server.server_close()


def test_expansion_appends_a_passage_and_is_cached(endpoint, tmp_path):
    endpoint.answers = ["<think>hm</think>Der Ararat ist 5137 m hoch."]
    expander = Expander(endpoint.url, cache=tmp_path)
    assert expander("Wie hoch?") == "Wie hoch?\nDer Ararat ist 5137 m hoch."
    assert expander("Wie hoch?") == "Wie hoch?\nDer Ararat ist 5137 m hoch."
    assert Expander(endpoint.url, cache=tmp_path)("Wie hoch?").endswith("hoch.")
    assert [path for path, _ in endpoint.asked] == ["/v1/chat/completions"]
    assert "Wie hoch?" in endpoint.asked[0][1]


def test_expansion_comes_before_translation(endpoint):
    endpoint.answers = ["Ein Absatz.", '```json\n{"en": "How high? A paragraph.", "th": "สูงเท่าไร"}\n```']
    expanded = Expander(endpoint.url, strategy="both", langs=["en", "th"])("Wie hoch?")
    assert expanded == "Wie hoch?\nEin Absatz.\nHow high? A paragraph.\nสูงเท่าไร"
    assert "Wie hoch? Ein Absatz." in endpoint.asked[1][1]
    assert "Thai (th)" in endpoint.asked[1][1]


@pytest.mark.parametrize("thought", ["", "<think>{en} or {fr}?</think>"])
def test_translation_alone(endpoint, thought):
    endpoint.answers = [thought + '{"en": "How high?"}']
    assert Expander(endpoint.url, strategy="translate", langs=["en", "fr"])("Wie hoch?") == "Wie hoch?\nHow high?"


@pytest.mark.parametrize(
    ("answer", "strategy"),
    [
        (TimeoutError, "passage"),
        ((500, "{}"), "passage"),
        ((200, "no json"), "passage"),
        ((200, "{}"), "passage"),
        ("", "passage"),
        ("?! 123", "passage"),
        ("x" * 5000, "passage"),
        ("Sorry, I cannot.", "translate"),
        ('{"xx": "y"}', "translate"),
        ("{broken}", "translate"),
    ],
)
def test_failures_fall_back_to_the_plain_query_with_a_notice(endpoint, caplog, answer, strategy):
    endpoint.answers = [answer]
    expander = Expander(endpoint.url, strategy=strategy, langs=["en"], timeout=0.3)
    assert expander("Wie hoch?") == "Wie hoch?"
    assert "searching for the plain query" in caplog.text


def test_no_server_at_all(caplog):
    assert Expander("http://127.0.0.1:9/v1", timeout=1)("x") == "x"
    assert "plain query" in caplog.text


def test_expanders_that_cannot_be():
    with pytest.raises(InputError, match="endpoint 'ftp"):
        Expander("ftp://x")
    with pytest.raises(InputError, match="put the key in OPENAI_API_KEY") as caught:
        Expander("https://name:secret@host/v1")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="strategy 'odd'"):
        Expander("http://x/v1", strategy="odd")
    with pytest.raises(InputError, match="no languages"):
        Expander("http://x/v1", strategy="both")


def test_the_searcher_searches_for_the_expanded_query():
    asked = []
    passages, vectors, query = collection()
    searcher = Searcher(MemoryIndex(passages, vectors), lambda texts, role: asked.extend(texts) or query[None])
    searcher.search("berg", expand=lambda query: f"{query}\nmehr")
    assert asked == ["berg\nmehr"]


def letters(texts, role):
    """How often each of the sixteen commonest letters stands in a text."""
    return [[1 + text.lower().count(letter) for letter in "etaoinshrdlcumwf"] for text in texts]


@pytest.mark.parametrize(
    "settings", [{}, {"mode": "hybrid", "fair": "balanced"}, {"mode": "lexical"}, {"rerank": Lengths()}]
)
def test_several_queries_find_what_each_finds_alone(settings):
    passages, _, _ = collection()
    vectors = FunctionEmbedder(letters)([passage.text for passage in passages], "passage")
    asked = []

    def embed(texts, role):
        asked.append((len(texts), role))
        return letters(texts, role)

    searcher = Searcher(MemoryIndex(passages, vectors), embed)
    queries = ["text 7", "en", "de text", "text 7"]
    found = searcher.search_many(queries, k=5, **settings)
    assert asked == ([] if settings.get("mode") == "lexical" else [(3, "query")])
    assert found == [searcher.search(query, k=5, **settings) for query in queries]
    assert found[0] != found[1]
    assert searcher.search_many([]) == []
    with pytest.raises(InputError, match="0 characters"):
        searcher.search_many(["fine", " "])
    with pytest.raises(InputError, match="queries: given as one text; expected a list of texts"):
        searcher.search_many("text 7")
    with pytest.raises(InputError, match="the query is given as int; expected a text"):
        searcher.search(7)


def test_coroutines_search_at_the_same_time(searcher):
    async def ask():
        return await asyncio.gather(*(searcher.asearch(f"any {n}", k=3, fair="balanced") for n in range(8)))

    expected = searcher.search("any", k=3, fair="balanced")
    assert asyncio.run(ask()) == [expected] * 8


def test_a_lazy_encoder_is_opened_once(tiny_model, tmp_path, monkeypatch):
    build_index([{"lang": "de", "text": "kurz"}], tmp_path / "index", str(tiny_model))
    opened, together = [], threading.Barrier(4)

    def opening(*args, **more):
        opened.append(open_like(*args, **more))
        return opened[-1]

    monkeypatch.setattr("isoglot.search.searcher.open_like", opening)
    searcher = Searcher.open(tmp_path / "index")
    assert not opened

    def ask(_):
        together.wait(60)
        return searcher.encoder

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(opened) == 1
    assert all(encoder is opened[0] for encoder in found)


def test_a_query_that_is_cut_is_logged(tiny_model, caplog):
    passages, _, _ = collection()
    embedder = ModelEmbedder(load(str(tiny_model)))
    searcher = Searcher(MemoryIndex(passages, embedder([p.text for p in passages], "passage")), embedder)
    searcher.search("kurz")
    assert not caplog.text
    searcher.search("lang " * 100)
    assert "1 of 1 queries are longer than 64 tokens: their ends were not read" in caplog.text


@pytest.mark.parametrize(("vectors", "length"), [(np.eye(2) * [[1], [5]], "5"), ([[1, 0], [np.nan, 1]], "nan")])
def test_vectors_in_memory_that_are_no_unit_vectors_are_refused(vectors, length):
    """Their products would rank passages by how long their vectors are."""
    passages = [Passage("a", "a", "Flut", "de"), Passage("b", "b", "tide", "en")]
    with pytest.raises(InputError, match=f"1 are no unit vectors, such as that of passage 'b' of length {length};"):
        MemoryIndex(passages, vectors)


def test_a_tensor_with_a_gradient_is_no_vector():
    with pytest.raises(InputError, match=r"vector: not an array of numbers \(.*detach\(\)"):
        as_rows([torch.ones(2, requires_grad=True)], 1, 2)
