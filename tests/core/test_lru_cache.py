"""What was needed last is kept, up to a size."""

import threading

from isoglot.core.lru_cache import Recent


def test_sizes_add_up_and_a_value_that_is_set_again_counts_once():
    kept = Recent[str, str](most=10, size=len)
    kept["a"], kept["b"] = "xxxx", "xxxx"
    kept["a"] = "xxxxxx"
    assert (kept.get("a"), kept.get("b")) == ("xxxxxx", "xxxx")
    kept["c"] = "x"  # 11: what was needed longest ago goes
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (None, "xxxx", "x")


def test_what_is_larger_than_everything_is_not_kept():
    kept = Recent[str, str](most=3, size=len)
    kept["a"] = "xx"
    kept["b"] = "xxxx"
    assert (kept.get("a"), kept.get("b")) == (None, None)
    kept["c"] = "xxx"
    assert kept.get("c") == "xxx"


def test_nothing_is_kept_where_nothing_may_be():
    kept = Recent[str, int](most=0)
    kept["a"] = 1
    assert kept.get("a") is None


def test_forgotten():
    kept = Recent[str, int](most=1)
    kept["a"] = 1
    kept.clear()
    assert kept.get("a") is None
    kept["b"] = 2
    assert kept.get("b") == 2


def test_threads_do_not_lose_count():
    kept = Recent[int, str](most=50, size=len)

    def work(first):
        for number in range(2000):
            kept[(first + number * 7) % 90] = "x" * (number % 3 + 1)
            kept.get(number % 90)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = [len(value) for value in map(kept.get, range(90)) if value is not None]
    assert 47 < sum(there) <= 50
