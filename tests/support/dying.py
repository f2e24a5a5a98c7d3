"""Processes that are killed at a chosen point of their own work, so that no test has to time a kill."""

import itertools
import os
import signal
import sys


def die():
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def machine_dies():
    """End the machine of Ray's that this process works on: its daemon, its workers, and this one among them."""
    import psutil

    workers = psutil.Process().parent().children(recursive=True)
    daemon_dies()
    for worker in workers:
        if worker.pid != os.getpid():
            worker.kill()
    die()


def daemon_dies():
    """End Ray's daemon on the machine that this process works on, as a whole machine looks whose network is gone."""
    os.kill(os.getppid(), signal.SIGKILL)


def die_after_calls(number):
    """Die when this thread has called that many more Python functions, whosever they are."""
    left = number

    def count(frame, event, arg):
        nonlocal left
        if event == "call":
            left -= 1
            if left <= 0:
                die()

    sys.setprofile(count)


def dies_around(owner, name, *, after, call=1, when=lambda *args, **keywords: True):
    """Let this process die at that call of a function (or of a context: at its start or its end), before or after.

    Calls may come from several threads at once, and end in another order than they began.

    Args:
        owner, name: of the function.
        after: or before.
        call: the number of the call, from 1.
        when: says by its arguments whether a call counts.
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
    """A context that ends in its own way."""

    def __init__(self, context, leave):
        self._context, self._leave = context, leave

    def __enter__(self):
        return self._context.__enter__()

    def __exit__(self, *error):
        return self._leave(*error)


class CountingWords:
    """The encoder of words, in however many processes: writes down how many passages it was given each time.

    Args:
        book: file that it writes to.
        dies_at: a word; the first process that meets it dies.
        way: of dying.
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
        """How many times it was given as many passages as a shard has."""
        with open(self.book) as book:
            return sum(int(line) == size for line in book)
