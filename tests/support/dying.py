"""Processes that are killed at a chosen point of their own work, so that no test has to time a kill."""

import os
import signal
import sys

from transformers import TrainerCallback


def die():
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


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


class DiesInStep(TrainerCallback):
    """Kills a training so many calls after the start of a step, or of its first one where that is later."""

    def __init__(self, step, calls):
        self.step, self.calls, self.doomed = step, calls, False

    def on_step_begin(self, args, state, control, **_):
        if not self.doomed and state.global_step + 1 >= self.step:
            self.doomed = True
            die_after_calls(self.calls)


class InterruptsStep(TrainerCallback):
    """Presses Ctrl-C at the start of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step + 1 == self.step:
            signal.raise_signal(signal.SIGINT)
