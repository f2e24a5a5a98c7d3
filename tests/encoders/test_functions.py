import asyncio
import threading

import numpy as np
import pytest
import torch

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import name_of, readable
from isoglot.encoders.encoding import as_encoder, encode
from isoglot.encoders.functions import FunctionEmbedder
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions


def letters(texts, role):
    """How often a, b and c stand in a text, and a constant that tells the roles apart."""
    return [[text.count("a"), text.count("b"), text.count("c"), 1 if role == "query" else 2] for text in texts]


def test_rows_become_unit_vectors_in_the_order_of_the_texts():
    found = encode(letters, ["ab", "c", "ab", ""], "query")
    expected = np.array([[1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 1], [0, 0, 0, 1]]) / np.sqrt([[3], [2], [3], [1]])
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert found.vectors.dtype == np.float32
    assert (found.texts, found.cut, found.length) == (3, 0, None)


@pytest.mark.parametrize("kind", [np.float64, np.float16, torch.float32, torch.bfloat16, list])
def test_any_kind_of_array_will_do(kind):
    def embed(texts, role):
        rows = letters(texts, role)
        if kind is list:
            return rows
        if isinstance(kind, torch.dtype):
            return torch.tensor(rows, dtype=kind, requires_grad=True)
        return np.array(rows, kind)

    np.testing.assert_allclose(
        encode(embed, ["abc", "bb"], "passage").vectors, encode(letters, ["abc", "bb"], "passage").vectors, atol=1e-6
    )


def test_a_function_is_asked_for_each_text_once_and_for_some_at_a_time():
    sizes = []

    def embed(texts, role):
        assert isinstance(texts, list)
        sizes.append(len(texts))
        return letters(texts, role)

    texts = [f"{'a' * n}b" for n in range(10)] * 3
    encode(embed, texts, "query")
    embed.batch_size = 4
    encode(embed, texts, "query")
    FunctionEmbedder(embed, batch_size=7)(texts, "query")
    assert sizes == [10, 4, 4, 2, 7, 3]


def test_a_coroutine_function_keeps_its_event_loop_from_call_to_call():
    loops = set()

    async def embed(texts, role):
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return letters(texts, role)

    expected = encode(letters, ["abc"], "query").vectors
    np.testing.assert_array_equal(encode(embed, ["abc"], "query").vectors, expected)

    async def inside():
        return encode(embed, ["abc"], "query").vectors

    np.testing.assert_array_equal(asyncio.run(inside()), expected)
    assert len(loops) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda n: np.ones(n), r"shape \(2,\) for 2 texts"),
        (lambda n: np.ones((n + 1, 3)), r"shape \(3, 3\) for 2 texts; expected one vector per text, \(2, dimension\)"),
        (lambda n: np.ones((n, 0)), r"shape \(2, 0\)"),
        (lambda n: np.array([[1.0, 2.0], [np.nan, 1.0]]), r"with NaN or infinity for 'bb' \(1 such of 2\)"),
        (lambda n: np.array([[0.0, 0.0], [1.0, 1.0]]), r"all zero for 'a' \(1 such of 2\)"),
        (lambda n: [[1.0], [1.0, 2.0]], "list is not an array of numbers"),
        (lambda n: None, "for 2 texts"),
        (lambda n: [["x"], ["y"]], "not an array of numbers"),
    ],
)
def test_answers_that_are_no_vectors_are_named(answer, says):
    def mine(texts, role):
        return answer(len(texts))

    with pytest.raises(InputError, match=f"^mine: .*{says}"):
        encode(mine, ["a", "bb"], "query")


def test_a_dimension_that_changes_between_batches_is_refused():
    def embed(texts, role):
        return np.ones((len(texts), len(texts[0])))

    embed.batch_size = 1
    with pytest.raises(InputError, match=r"shape \(1, 2\) for 1 texts; expected one vector per text, \(1, 1\)"):
        encode(embed, ["a", "bb"], "query")


def test_what_is_no_embedder_is_refused():
    for thing, says in (
        (3, "int is not a model"),
        (lambda texts: texts, "cannot be called with texts and a role"),
        (lambda texts, role, more: texts, "cannot be called"),
    ):
        with pytest.raises(InputError, match=says):
            encode(thing, ["a"], "query")
    with pytest.raises(InputError, match="letters truncates texts itself"):
        encode(letters, ["a"], "query", length=9)
    with pytest.raises(InputError, match="dtype bfloat16: a function decides that by itself"):
        open_embedder(letters, ModelOptions(dtype="bfloat16"))


def test_errors_of_the_function_are_its_own():
    def embed(texts, role):
        raise ConnectionError("the server is gone")

    with pytest.raises(ConnectionError, match="the server is gone"):
        encode(embed, ["a"], "query")


def test_one_thread_at_a_time():
    inside, most = [0], [0]

    def embed(texts, role):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        inside[0] -= 1
        return letters(texts, role)

    threads = [threading.Thread(target=encode, args=(embed, ["a"], "query")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_texts_are_read_in_one_normal_form():
    """u with a combining diaeresis, and Hangul in letters, are what their composed forms are."""
    seen = []

    def embed(texts, role):
        seen.extend(texts)
        return letters(texts, role)

    found = encode(embed, ["Zu\u0308rich", "Z\u00fcrich", "\u1112\u1161\u11ab", "\ud55c"], "query")
    assert seen == ["Z\u00fcrich", "\ud55c"]
    assert found.texts == 2
    assert readable("half \ud800 a pair") == "half ? a pair"


def test_names():
    class Named:
        name = "mine"

        def __call__(self, texts, role):
            return letters(texts, role)

    assert [name_of(thing) for thing in (letters, Named(), lambda texts, role: None)] == ["letters", "mine", "model"]
    assert as_encoder(letters).name == "letters"
    encoder = as_encoder(letters)
    assert as_encoder(encoder) is encoder
    assert FunctionEmbedder(letters, name="other").name == "other"
