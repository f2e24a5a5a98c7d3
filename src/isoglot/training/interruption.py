"""Ctrl-C and SIGTERM: finish the step, write a checkpoint, stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

from transformers import TrainerCallback


class Interruption(TrainerCallback):  # type: ignore[misc]
    """Stops a run after a signal, once all processes know of it.

    Attributes:
        signalled: this process got a signal.
        agreed: some process got one, and all know.
    """

    def __init__(self) -> None:
        self.signalled = self.agreed = False
        self._hand_on: partial[Any] | None = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Note Ctrl-C and SIGTERM for the length of the block; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, frame: Any) -> None:
            again, self.signalled = self.signalled, True
            heard = before[signal.Signals(number)]
            self._hand_on = partial(heard, number, frame) if callable(heard) else None
            if again:
                self.stop()

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> NoReturn:
        """Interrupt what called; whoever heard the signal before hears of it first, as only they tell which it was.

        Raises:
            KeyboardInterrupt: in any case.
        """
        if self._hand_on is not None:
            self._hand_on()
        raise KeyboardInterrupt

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save and stop, where all agree to."""
        if self.agreed and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
        # A line of the log never spans a checkpoint, so a resumed run writes the same lines.
        control.should_log |= control.should_save
