"""Judges of pairs: cross-encoders, and encoders by cosine."""

import json
import threading

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.encoders import CosineJudge, LateJudge, encode, load, load_cross_encoder, open_judge
from support.encoders import wide_encoder
from support.models import cross_encoder, xlm_roberta

PAIRS = [("Wie hoch ist der Ararat?", "Er ist 5137 m hoch."), ("Where?", "There."), ("Where?", "Er ist 5137 m hoch.")]


def counting(asked):
    """An embedder of three numbers that notes what it is asked."""

    def embed(texts, role):
        asked.append((role, list(texts)))
        return [[len(text), text.count("e") + 1, 5 if role == "query" else 1] for text in texts]

    return embed


def test_an_encoder_judges_by_the_cosine_of_its_vectors():
    judge = open_judge(str(wide_encoder()), device="cpu")
    model = load(str(wide_encoder()), device="cpu")
    queries = encode(model, [query for query, _ in PAIRS], "query").vectors
    passages = encode(model, [passage for _, passage in PAIRS], "passage").vectors
    np.testing.assert_allclose(judge.predict(PAIRS), (queries * passages).sum(axis=1), atol=1e-5)


def test_a_text_is_encoded_once_and_the_least_needed_is_forgotten():
    asked = []
    judge = CosineJudge(counting(asked), kept=3)
    first = judge.predict(PAIRS)
    assert asked == [
        ("query", ["Wie hoch ist der Ararat?", "Where?"]),
        ("passage", ["Er ist 5137 m hoch.", "There."]),
    ]
    del asked[:]
    # Four vectors were needed and three kept: the first query is the one that is asked for again.
    np.testing.assert_array_equal(judge.predict(PAIRS[1:]), first[1:])
    assert asked == []
    np.testing.assert_array_equal(judge.predict(PAIRS[:1]), first[:1])
    assert asked == [("query", ["Wie hoch ist der Ararat?"])]


def test_no_pairs_have_no_scores():
    for judge in (CosineJudge(counting([])), open_judge(f"late:{wide_encoder()}", device="cpu")):
        assert judge.predict([]).shape == (0,)
        for pairs, words in ((("a", "b"), "one of them: given as str"), ([("a",)], "has 1 texts"), ([("a", 5)], "5")):
            with pytest.raises(InputError, match=f"pairs.*{words}"):
                judge.predict(pairs)


def test_a_model_that_is_open_judges_either_way():
    model = load(str(wide_encoder()), device="cpu")
    for judge, name in ((CosineJudge(model), ""), (LateJudge(model), "late:")):
        by_name = open_judge(f"{name}{wide_encoder()}", device="cpu")
        np.testing.assert_allclose(judge.predict(PAIRS), by_name.predict(PAIRS), atol=1e-6)


def test_a_query_and_a_passage_of_one_text_have_vectors_of_their_own():
    judge = CosineJudge(counting([]))
    query, passage = np.array([1.0, 1, 5]), np.array([1.0, 1, 1])
    expected = query @ passage / np.linalg.norm(query) / np.linalg.norm(passage)
    np.testing.assert_allclose(judge.predict([("a", "a")]), [expected], atol=1e-6)


def test_threads_share_a_judge():
    judge = CosineJudge(counting([]), kept=4)
    pairs = [(f"query {number % 7}", f"text {number}") for number in range(40)]
    alone = CosineJudge(counting([])).predict(pairs)
    found = {}

    def ask(number):
        found[number] = judge.predict(pairs)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for scores in found.values():
        np.testing.assert_array_equal(scores, alone)
    assert len(found) == 4


def test_what_a_folder_says_decides(tmp_path):
    own = cross_encoder(tmp_path / "own")
    judge = open_judge(str(own), device="cpu")
    np.testing.assert_allclose(judge.predict(PAIRS), load_cross_encoder(str(own), device="cpu").predict(PAIRS))
    # Sentence Transformers writes modules.json for both kinds, and which one it is.
    saved = tmp_path / "saved"
    judge.save_pretrained(str(saved))
    assert (saved / "modules.json").is_file()
    np.testing.assert_allclose(open_judge(str(saved), device="cpu").predict(PAIRS), judge.predict(PAIRS), atol=1e-6)


def test_scores_out_of_weights_drawn_at_random_are_refused(tmp_path):
    headless = str(xlm_roberta(tmp_path / "headless"))
    with pytest.raises(InputError, match="XLMRobertaModel has no head that scores pairs"):
        open_judge(headless, device="cpu")
    with pytest.raises(InputError, match="BertModel has no head that scores pairs"):
        load_cross_encoder(str(wide_encoder()), device="cpu")


def test_a_record_that_names_no_kind_is_of_an_encoder(tmp_path):
    folder = tmp_path / "encoder"
    load(str(wide_encoder()), device="cpu").save_pretrained(str(folder))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({}), encoding="utf-8")
    assert isinstance(open_judge(str(folder), device="cpu"), CosineJudge)


def test_no_such_model():
    with pytest.raises(InputError, match=r"no such model folder"):
        open_judge("./nowhere")
