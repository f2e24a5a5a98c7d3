"""Kill or interrupt trainings at a chosen step; a separate module, since `dying` needs no training stack."""

import signal

from transformers import TrainerCallback

from support.dying import die_after_calls


class DiesInStep(TrainerCallback):
    """Kill a training some calls after the start of a step (or of its first step, if that is later)."""

    def __init__(self, step, calls):
        self.step, self.calls, self.doomed = step, calls, False

    def on_step_begin(self, args, state, control, **_):
        if not self.doomed and state.global_step + 1 >= self.step:
            self.doomed = True
            die_after_calls(self.calls)


class InterruptsStep(TrainerCallback):
    """Interrupt a training (SIGINT) at the start of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step + 1 == self.step:
            signal.raise_signal(signal.SIGINT)
