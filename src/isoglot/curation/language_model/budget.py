"""A token budget for requests to a language model."""

from __future__ import annotations

import threading

from isoglot.core.errors import InputError


class Budget:
    """A token budget: reserve before a request and settle after it, so that concurrent requests cannot overdraw it.

    Args:
        tokens: limit for prompts and answers together; None for no limit.

    Raises:
        InputError: the limit is less than 1.
    """

    def __init__(self, tokens: int | None = None) -> None:
        if tokens is not None and tokens < 1:
            raise InputError(f"budget_tokens {tokens}: expected at least 1")
        self.tokens = tokens
        self.spent = 0
        self._reserved = 0
        self._changed = threading.Condition()

    def reserve(self, most: int) -> bool:
        """Reserve tokens; if too few are left, wait for running requests to release some.

        Returns:
            False if the remaining budget is too small.
        """
        with self._changed:
            while self.tokens is not None and self.spent + self._reserved + most > self.tokens:
                if not self._reserved:
                    return False
                self._changed.wait()
            self._reserved += most
            return True

    def settle(self, most: int, paid: int) -> None:
        """Release the `most` reserved tokens and charge the `paid` ones."""
        with self._changed:
            self._reserved -= most
            self.spent += paid
            self._changed.notify_all()
