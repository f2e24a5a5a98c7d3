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
    """Stops a run after a signal, once all processes know about it.

    Attributes:
        signalled: this process received a signal.
        agreed: some process received a signal, and all processes know about it.
    """

    def __init__(self) -> None:
        self.signalled = self.agreed = False
        self._hand_on: partial[Any] | None = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within the block, record Ctrl-C and SIGTERM instead of stopping; a second signal stops at once."""
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
        """Interrupt the caller, after calling the previous signal handler, which may distinguish the signals.

        Raises:
            KeyboardInterrupt: always, unless the previous handler raises something else.
        """
        if self._hand_on is not None:
            self._hand_on()
        raise KeyboardInterrupt

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save and stop once all processes have agreed to."""
        if self.agreed and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
        # Log at each checkpoint, so that no log line spans one and a resumed run writes the same lines.
        control.should_log |= control.should_save
