"""Where independent pieces of work are done: here, or wherever an executor takes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Does tasks that depend on nothing but themselves, each at least once, and gives each result once.

    Attributes:
        workers: how many work at the same time.
        threads: that each of them has for products.
    """

    @property
    def workers(self) -> int:
        """How many work at the same time."""
        ...

    @property
    def threads(self) -> int:
        """How many threads each has for products."""
        ...

    def run(
        self, opener: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """Do tasks; results come as they are ready, in any order.

        Args:
            opener: gives the function from a task to its result; called once a worker. Where workers are elsewhere it
                is pickled, and so are tasks and results.
            tasks: read as workers get free, a few ahead.

        Raises:
            IsoglotError: a task failed, or nobody could do it.
        """
        ...


class Here:
    """Does tasks in this process, one after the other."""

    workers = 1
    threads = os.cpu_count() or 1

    def run(
        self, opener: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """Do tasks in their order."""
        work = opener()
        for task in tasks:
            yield task, work(task)
