"""How many tokens may still be paid for."""

from __future__ import annotations

import threading

from isoglot.core.errors import InputError


class Budget:
    """Tokens, reserved before a request and settled after it, so that requests at one time cannot overdraw it.

    Args:
        tokens: prompt and answer together; None sets no limit.

    Raises:
        InputError: fewer than one.
    """

    def __init__(self, tokens: int | None = None) -> None:
        if tokens is not None and tokens < 1:
            raise InputError(f"budget_tokens {tokens}: expected at least 1")
        self.tokens = tokens
        self.spent = 0
        self._reserved = 0
        self._changed = threading.Condition()

    def reserve(self, most: int) -> bool:
        """Set tokens aside, waiting for requests under way where these may free enough.

        Returns:
            False where the rest of the budget is too small.
        """
        with self._changed:
            while self.tokens is not None and self.spent + self._reserved + most > self.tokens:
                if not self._reserved:
                    return False
                self._changed.wait()
            self._reserved += most
            return True

    def settle(self, most: int, paid: int) -> None:
        """Turn what `reserve` set aside into what was paid."""
        with self._changed:
            self._reserved -= most
            self.spent += paid
            self._changed.notify_all()
