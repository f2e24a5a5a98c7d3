import json
import threading

import pytest

from isoglot.core.chat_completions import json_object
from isoglot.core.errors import InputError, IsoglotError
from isoglot.curation.language_model.answer_cache import AnswerStore, key_of
from isoglot.curation.language_model.budget import Budget
from isoglot.curation.language_model.chat import SPENT, Chat, ChatSettings, Question
from support.chat import chat_server


def upper(text):
    if text != text.upper():
        raise ValueError("an answer in small letters")
    return text


def questions(*prompts, most=10):
    return [Question(number, prompt, upper, most) for number, prompt in enumerate(prompts)]


@pytest.fixture
def chat(tmp_path):
    def make(url, budget=None, **settings):
        store = AnswerStore(tmp_path / "answers.sqlite")
        return Chat(ChatSettings(url, **settings), store, Budget(budget), sleep=lambda _: None)

    return make


def test_answers_come_in_order_and_are_paid_once(chat):
    with chat_server(lambda prompt, _: prompt.upper()) as (url, server):
        prompts = [f"p{number}" for number in range(40)]
        first = chat(url, concurrency=5)
        found = list(first.ask_all(iter(questions(*prompts))))
        assert [(answer.subject, answer.value) for answer in found] == [(n, p.upper()) for n, p in enumerate(prompts)]
        assert (first.asked, first.from_store, first.budget.spent) == (40, 0, 400)
        second = chat(url)
        assert [answer.value for answer in second.ask_all(questions(*prompts, "new"))][-1] == "NEW"
        assert (second.asked, second.from_store, second.budget.spent) == (1, 40, 10)
    assert len(server.prompts) == 41
    assert server.bodies[0]["temperature"] == 0


def test_faults_that_pass_are_tried_again(chat):
    """Statuses, truncated JSON, completions without text, and answers that cannot be read."""
    said = [429, 503, b'{"choices": [', b"[]", b'{"choices": [{"message": {"content": null}}]}', "small", "BIG"]
    with chat_server(lambda _, number: said[number - 1]) as (url, server):
        (answer,) = chat(url, tries=7, concurrency=1).ask_all(questions("p"))
    assert answer.value == "BIG"
    assert server.bodies[-1]["temperature"] > 0  # the same answer would only come again


def said_and_cut(text):
    choice = {"message": {"content": text}, "finish_reason": "length"}
    return json.dumps({"choices": [choice], "usage": {"total_tokens": 30}}).encode()


@pytest.mark.parametrize("text", ["<think>long", None, "", "hm"])
def test_an_answer_cut_off_while_reasoning_says_so_and_is_paid_for(chat, text):
    with chat_server(lambda *_: said_and_cut(text)) as (url, server):
        asking = chat(url, tries=2, reasoning_tokens=500)
        (answer,) = asking.ask_all([Question(0, "p", lambda said: json_object(said), 10)])
    assert answer.fault.startswith("an answer cut off at its greatest length")
    assert asking.budget.spent == 60
    assert {body["max_tokens"] for body in server.bodies} == {510}


def test_a_budget_reserves_the_reasoning_too(chat):
    with chat_server(lambda prompt, _: prompt.upper()) as (url, server):
        (answer,) = chat(url, budget=100, reasoning_tokens=500).ask_all(questions("p"))
    assert (answer.fault, server.prompts) == (SPENT, [])


def test_another_temperature_is_another_answer(chat):
    with chat_server(lambda _, number: "ABC"[number - 1]) as (url, _):
        said = [next(chat(url, temperature=warmth).ask_all(questions("p"))).value for warmth in (0.0, 0.7, 0.0, 0.7)]
    assert said == ["A", "B", "A", "B"]


def test_a_question_that_cannot_be_answered_is_a_fault_of_its_own(chat):
    with chat_server(lambda prompt, _: "small" if prompt == "bad" else "BIG") as (url, _):
        asking = chat(url, tries=2)
        found = list(asking.ask_all(questions("good", "bad", "fine")))
    assert [answer.value for answer in found] == ["BIG", None, "BIG"]
    assert found[1].fault == "an answer in small letters (2 tries)"
    assert asking.budget.spent == 40  # what was answered badly is paid, too


def test_an_endpoint_that_refuses_stops_all(chat):
    with chat_server(lambda *_: 401) as (url, server), pytest.raises(InputError, match="refused with status 401"):
        list(chat(url, concurrency=1).ask_all(questions(*"abcdefgh")))
    assert len(server.prompts) < 8


def test_an_endpoint_that_is_down_stops_all(chat, tmp_path):
    with chat_server(lambda *_: 500) as (url, server), pytest.raises(IsoglotError, match="failed in a row"):
        list(chat(url, tries=1, concurrency=1).ask_all(questions(*map(str, range(50)))))
    assert len(server.prompts) < 20
    with pytest.raises(IsoglotError, match="connection failed"):
        list(chat("http://127.0.0.1:9/v1", tries=1).ask_all(questions(*map(str, range(50)))))


def test_the_budget_is_never_overdrawn(chat):
    """Each question may cost 1 + 10 tokens and costs 10: of 35, three are asked."""
    with chat_server(lambda prompt, _: prompt.upper()) as (url, server):
        asking = chat(url, budget=35, concurrency=4)
        found = list(asking.ask_all(questions(*[f"{n:02}" for n in range(9)])))
    assert sum(answer.value is not None for answer in found) == len(server.prompts) == 3
    assert asking.budget.spent == 30
    assert {answer.fault for answer in found} == {None, "the budget of tokens is spent"}


def test_tokens_are_estimated_where_the_endpoint_does_not_say(chat):
    with chat_server(lambda prompt, _: prompt.upper(), usage=None) as (url, _):
        asking = chat(url)
        list(asking.ask_all(questions("x" * 30)))
    assert asking.budget.spent == 30


def test_a_budget_of_many_threads():
    budget, spent = Budget(1000), []

    def work():
        while budget.reserve(30):
            budget.settle(30, 7)
            spent.append(7)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.spent == sum(spent)
    assert 970 < budget.spent <= 1000


@pytest.mark.parametrize("url", ["", "ftp://x/v1", "localhost:8080", "http://name:password@host/v1"])
def test_addresses_that_are_none(chat, url):
    with pytest.raises(InputError, match="address"):
        chat(url)


def test_a_file_that_is_no_cache(tmp_path):
    (tmp_path / "x").write_text("no database, but long enough to be taken for one " * 20, encoding="utf-8")
    with pytest.raises(InputError, match="not a cache of answers"):
        AnswerStore(tmp_path / "x")


def test_keys_tell_parts_apart():
    assert key_of("ab", "c") != key_of("a", "bc")


def test_json_in_answers():
    assert json_object('<think>{"a": 0}</think>Sure:\n```json\n{"a": "x\ny"}\n```', ["a"]) == {"a": "x\ny"}
    assert json_object('{"a": 0}, or rather</think>{"a": "x"}', ["a"]) == {"a": "x"}
    for text, said in (
        ("no", "without a JSON"),
        ('<think>say {"a": 0}', "without a JSON"),
        ('{"a": "x', "cut off"),
        ("{}", "without a"),
    ):
        with pytest.raises(ValueError, match=said):
            json_object(text, ["a"])
