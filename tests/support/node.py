"""One process of a distributed training: `torchrun … node.py HOME NAME [STEP]`; rank 1 dies in STEP.

`HOME` contains `model` and `rows`; `NAME` is the output folder. Each machine (GROUP_RANK) has its own cache, and
`NAME-made-MACHINE` counts how often it tokenised something.
"""

import os
import sys
from pathlib import Path


def main(home, name, step=None):
    """Train 6 steps, resuming from the last checkpoint."""
    import torch

    torch.set_num_threads(1)
    from isoglot.data.prepared import prepare
    from isoglot.encoders import tokens
    from isoglot.training.run import train
    from isoglot.training.settings import TrainSettings
    from support.dying_trainings import DiesInStep

    machine = os.environ["GROUP_RANK"]
    folder = Path(home) / name
    real = tokens._pieces

    def counted(*args, **kwargs):
        with (Path(home) / f"{name}-made-{machine}").open("a") as file:
            file.write("x")
        return real(*args, **kwargs)

    tokens._pieces = counted
    settings = TrainSettings(
        batch_size=4, max_steps=6, save_steps=2, log_steps=1, warmup_steps=1, device="cpu", precision="fp32"
    )
    doomed = step is not None and os.environ["RANK"] == "1"
    rows = prepare([Path(home) / "rows.jsonl"], Path(home) / f"{name}-rows-{machine}")
    train(
        str(Path(home) / "model"), rows, folder, settings,
        resume=True, callbacks=[DiesInStep(int(step), 200)] if doomed else [],
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
