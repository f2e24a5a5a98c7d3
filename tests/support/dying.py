"""Kill processes at a chosen point of their own work, so that no test has to time a kill."""

import itertools
import os
import signal
import sys


def die():
    """Kill this process, like `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def machine_dies():
    """Kill the Ray machine that this process runs on: its daemon and its workers, including this one."""
    import psutil

    workers = psutil.Process().parent().children(recursive=True)
    daemon_dies()
    for worker in workers:
        if worker.pid != os.getpid():
            worker.kill()
    die()


def daemon_dies():
    """Kill Ray's daemon on this process's machine, which looks like a machine that lost its network."""
    os.kill(os.getppid(), signal.SIGKILL)


def die_after_calls(number):
    """Die when this thread has made `number` more calls of Python functions, anywhere."""
    left = number

    def count(frame, event, arg):
        nonlocal left
        if event == "call":
            left -= 1
            if left <= 0:
                die()

    sys.setprofile(count)


def dies_around(owner, name, *, after, call=1, when=lambda *args, **keywords: True):
    """Let this process die before or after a call of a function; for a context manager, at its start or end.

    Calls may come from several threads at once, and finish in another order than they began.

    Args:
        owner, name: of the function.
        after: die after the call instead of before it.
        call: the number of the call, from 1.
        when: predicate over the call's arguments: whether the call counts.
    """
    whole, calls = getattr(owner, name), itertools.count(1)

    def mortal(*args, **keywords):
        last = when(*args, **keywords) and next(calls) == call
        if last and not after:
            die()
        result = whole(*args, **keywords)
        if last:
            if not hasattr(result, "__exit__"):
                die()
            leave = result.__exit__
            result = _Leaving(result, lambda *error: (leave(*error), die()))
        return result

    setattr(owner, name, mortal)


class _Leaving:
    """A context manager whose exit is replaced by `leave`."""

    def __init__(self, context, leave):
        self._context, self._leave = context, leave

    def __enter__(self):
        return self._context.__enter__()

    def __exit__(self, *error):
        return self._leave(*error)


class CountingWords:
    """The encoder of `serving`, which records the number of texts of each call, across processes.

    Args:
        book: the file to write to.
        dies_at: a word; the first process that encounters it dies.
        way: the function that kills the process.
    """

    name = "words"

    def __init__(self, book, dies_at=None, way=die):
        self.book, self.dies_at, self._way = str(book), dies_at, way

    def __call__(self, texts, role):
        from support.serving import embed

        mark = f"{self.book}.died"
        if self.dies_at and any(self.dies_at in text for text in texts) and not os.path.exists(mark):
            open(mark, "w").close()
            self._way()
        with open(self.book, "a") as book:
            book.write(f"{len(texts)}\n")
        return embed(texts, role)

    def shards(self, size):
        """The number of calls with exactly `size` texts, the size of a shard."""
        with open(self.book) as book:
            return sum(int(line) == size for line in book)
