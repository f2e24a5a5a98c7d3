"""The interface to run independent tasks, here or on other machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs tasks that are independent of each other, each at least once, and yields each result once.

    Attributes:
        workers: number of concurrent workers.
        threads: per worker, for matrix products.
    """

    @property
    def workers(self) -> int:
        """Number of concurrent workers."""
        ...

    @property
    def threads(self) -> int:
        """Number of threads per worker, for matrix products."""
        ...

    def run(
        self, opener: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """Run tasks; results are yielded as they complete, in any order.

        Args:
            opener: returns the function from a task to its result; called once per worker. For remote workers it is
                pickled, and so are tasks and results.
            tasks: iterated as workers become free, a few ahead.

        Raises:
            IsoglotError: a task failed, or no worker could run it.
        """
        ...


class Here:
    """Runs tasks in this process, one after the other."""

    workers = 1
    threads = os.cpu_count() or 1

    def run(
        self, opener: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Result]]:
        """Run tasks in order."""
        work = opener()
        for task in tasks:
            yield task, work(task)
