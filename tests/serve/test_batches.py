"""Queries of many requests are encoded together, and everyone gets their own answer."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from isoglot.serve.batches import Batches
from isoglot.serve.workers import BusyError


def batches(encode: object, **how: object) -> Batches:
    settings = {"gather": 0.002, "most": 4, "waiting": 100, "seconds": 10.0, **how}
    return Batches(encode, **settings)  # type: ignore[arg-type]


class Recording:
    """Turns a number into a vector of it, and keeps what it was asked together; the first call waits to be let go."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked.append(texts)
        self.begun.set()
        assert self.go.wait(10)
        return np.array([[float(text)] for text in texts], np.float32)


def test_those_who_come_while_the_model_works_go_together_and_nobody_gets_anothers_answer() -> None:
    encode = Recording()

    async def ask() -> list[float]:
        gathered = batches(encode)
        first = asyncio.create_task(gathered.vector("0"))
        assert await asyncio.to_thread(encode.begun.wait, 10)
        others = [asyncio.create_task(gathered.vector(str(number))) for number in range(1, 10)]
        await asyncio.sleep(0)
        encode.go.set()
        answers = await asyncio.gather(first, *others)
        gathered.close()
        return [float(answer[0]) for answer in answers]

    assert asyncio.run(ask()) == list(range(10))
    assert [len(texts) for texts in encode.asked] == [1, 4, 4, 1]


def test_those_who_come_at_once_go_together_the_first_time() -> None:
    encode = Recording()
    encode.go.set()

    async def ask() -> None:
        gathered = batches(encode)
        await asyncio.gather(*(gathered.vector(str(number)) for number in range(3)))
        gathered.close()

    asyncio.run(ask())
    assert encode.asked == [["0", "1", "2"]]


def test_a_failure_is_told_to_those_it_is_of_and_the_next_ones_are_served() -> None:
    def encode(texts: list[str]) -> np.ndarray:
        if "bad" in texts:
            raise OSError("the model is gone")
        return np.zeros((len(texts), 1), np.float32)

    async def ask() -> None:
        gathered = batches(encode)
        found = await asyncio.gather(gathered.vector("bad"), gathered.vector("1"), return_exceptions=True)
        assert all(isinstance(error, OSError) for error in found)
        assert (await gathered.vector("2")).shape == (1,)
        gathered.close()

    asyncio.run(ask())


def test_who_gives_up_takes_no_place_and_too_many_are_turned_away() -> None:
    encode = Recording()

    async def ask() -> None:
        gathered = batches(encode, most=1, waiting=2, seconds=0.3)
        waiting = [asyncio.create_task(gathered.vector(str(number))) for number in range(2)]
        assert await asyncio.to_thread(encode.begun.wait, 10)
        with pytest.raises(BusyError):
            await gathered.vector("2")
        assert all(isinstance(error, TimeoutError) for error in await asyncio.gather(*waiting, return_exceptions=True))
        while not gathered.stuck:
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):  # at once: the model is still at the first one
            await gathered.vector("3")
        encode.go.set()
        while gathered.stuck:
            await asyncio.sleep(0)
        assert (await gathered.vector("3")).tolist() == [3.0]
        gathered.close()

    asyncio.run(ask())
    assert encode.asked == [["0"], ["3"]]


def test_what_was_asked_before_is_not_read_again_until_something_else_reads() -> None:
    asked: list[list[str]] = []
    makers = [object(), object()]
    current = makers[0]

    def encode(texts: list[str]) -> np.ndarray:
        asked.append(texts)
        return np.array([[float(text) + 100 * makers.index(current)] for text in texts], np.float32)

    async def ask(gathered: Batches, *numbers: int) -> list[float]:
        return [float((await gathered.vector(str(number)))[0]) for number in numbers]

    async def all_of_it() -> None:
        nonlocal current
        gathered = batches(encode, remembered=2, made_by=lambda: current)
        assert await ask(gathered, 1, 2, 1) == [1, 2, 1]
        assert asked == [["1"], ["2"]]
        assert await ask(gathered, 3) == [3]  # 2 was asked for before 1 was: it makes room
        assert await ask(gathered, 1, 2) == [1, 2]
        assert asked == [["1"], ["2"], ["3"], ["2"]]
        current = makers[1]
        assert await ask(gathered, 2, 2) == [102, 102]
        assert asked[4:] == [["2"]]
        gathered.close()

    asyncio.run(all_of_it())


def test_a_vector_of_what_read_before_is_not_kept_for_what_reads_now() -> None:
    first, second = object(), object()
    current = first
    encode = Recording()

    async def ask() -> None:
        nonlocal current
        gathered = batches(encode, remembered=10, made_by=lambda: current)
        under_way = asyncio.create_task(gathered.vector("1"))
        while not encode.asked:
            await asyncio.sleep(0)
        current = second
        other = asyncio.create_task(gathered.vector("2"))
        await asyncio.sleep(0)
        encode.go.set()
        await asyncio.gather(under_way, other)
        await gathered.vector("1")
        await gathered.vector("2")
        gathered.close()

    asyncio.run(ask())
    assert encode.asked == [["1"], ["2"], ["1"]]


def test_two_batches_go_at_once_where_enough_wait_and_one_that_hangs_holds_its_own_only() -> None:
    encode = Recording()

    async def ask() -> list[float]:
        gathered = batches(encode, gather=0.0, at_once=2)
        tasks = [asyncio.create_task(gathered.vector("0"))]
        assert await asyncio.to_thread(encode.begun.wait, 10)
        for number in range(1, 4):
            tasks.append(asyncio.create_task(gathered.vector(str(number))))
        await asyncio.sleep(0.05)
        assert [len(texts) for texts in encode.asked] == [1]  # three wait for the first
        tasks.append(asyncio.create_task(gathered.vector("4")))
        await asyncio.sleep(0.05)
        assert [len(texts) for texts in encode.asked] == [1, 4]
        tasks += [asyncio.create_task(gathered.vector(str(number))) for number in range(5, 15)]
        await asyncio.sleep(0.05)
        assert len(encode.asked) == 2  # no third
        encode.go.set()
        answers = await asyncio.gather(*tasks)
        assert await gathered.vector("15") == 15  # nobody is at work any more
        gathered.close()
        return [float(answer[0]) for answer in answers]

    assert asyncio.run(ask()) == list(range(15))
