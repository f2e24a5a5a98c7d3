"""Training steps of isoglot against Sentence Transformers' Trainer: pairs per second and peak memory.

Both use the same model, rows and precision, and train the token table:

    python performance/train_step.py                  # CPU, batches of 32 and 64
    python performance/train_step.py --quick          # the smallest batch, two steps, bf16 alone
    python performance/train_step.py --device cuda    # batches of 128 and 512, bf16 against bf16
"""

import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import harness

os.environ.setdefault("HF_HUB_OFFLINE", "1")
SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "mlqa-r"
TEMPERATURE = 0.03


def main():
    arguments = harness.parser(__doc__)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--batch-sizes", help="comma-separated; 32,64 on a CPU, 128,512 on a GPU")
    arguments.add_argument("--rows", type=Path, help="rows file, or a folder in LAReQA's layout; MLQA-R, else atlas")
    arguments.add_argument("--model", default="embedded")
    arguments.add_argument("--chunk", type=int, help="isoglot's --chunk; its default when not given")
    arguments.add_argument("--sides", help="comma-separated: isoglot first, then some of st-bf16, st-fp32")
    arguments.add_argument("--clock", choices=["wall", "processor"], default="wall", help="of CPUs with other work")
    arguments.add_argument("--steps", type=int, default=8, help="timed steps, after 3 that are not")
    given = arguments.parse_args()
    if given.child:
        print(json.dumps(child(json.loads(given.child))))
        return
    cpu = given.device.startswith("cpu")
    sizes = [int(size) for size in (given.batch_sizes or ("32,64" if cpu else "128,512")).split(",")]
    repeats = given.repeats
    if given.quick:
        sizes, repeats, given.steps = sizes[:1], 1, 2
    with tempfile.TemporaryDirectory() as scratch:
        rows, name = find_rows(given.rows, Path(scratch))
        common = {"rows": str(rows), "model": given.model, "device": given.device}
        common |= {"steps": given.steps, "chunk": given.chunk, "clock": given.clock}
        sides = ["isoglot", "st-bf16", *(["st-fp32"] if cpu else [])]
        if given.quick:
            sides = sides[:2]
        if given.sides:
            sides = given.sides.split(",")
        tasks = {
            f"{side} {size}": {**common, "side": side, "batch": size, "warm": 1 if given.quick else 3}
            for size in sizes
            for side in sides
        }
        results = harness.interleaved(__file__, tasks, repeats)
        ceiling = harness.in_child(__file__, {"side": "ceiling", "device": given.device, "clock": given.clock})["flops"]
    print(f"rows: {name}; device: {given.device}; {repeats} repeats of {given.steps} steps; medians")
    print(f"{'':14} batch  pairs/s  ratio  memory MB  ratio tokens/pair of ceiling")
    goals, table = [], []
    for size in sizes:
        ours = results[f"isoglot {size}"]
        for side in sides:
            found = results[f"{side} {size}"]
            entry = {
                "side": side,
                "batch": size,
                "pairs_per_second": harness.median(found, "pairs_per_second"),
                "memory": harness.median(found, "memory"),
                "tokens_per_pair": harness.median(found, "tokens_per_pair"),
                "share_of_ceiling": harness.median(found, "flops") / ceiling,
            }
            # Ratios within a repeat, so that slow phases of the machine affect both sides.
            entry["speed_ratio"] = statistics.median(
                mine["pairs_per_second"] / other["pairs_per_second"] for mine, other in zip(ours, found, strict=True)
            )
            entry["memory_ratio"] = harness.median(ours, "memory") / entry["memory"]
            table.append(entry)
            print(
                f"{side:14} {size:5} {entry['pairs_per_second']:8.1f} {entry['speed_ratio']:6.2f} "
                f"{entry['memory'] / 1e6:10.0f} {entry['memory_ratio']:6.2f} {entry['tokens_per_pair']:11.1f} "
                f"{entry['share_of_ceiling']:10.1%}"
            )
            wanted = {("st-bf16", 32): 2.0, ("st-bf16", 64): 2.0}.get((side, size)) if cpu else 1.3
            if side == "st-fp32":
                wanted = 3.5
            if side != "isoglot" and wanted:
                goals.append((f"speed-{side}-{size}", entry["speed_ratio"], wanted, True))
                if cpu:
                    goals.append((f"memory-{side}-{size}", entry["memory_ratio"], 0.5, False))
    record = {
        "rows": name,
        "device": given.device,
        "clock": given.clock,
        "ceiling_flops": ceiling,
        "table": table,
        "results": results,
    }
    harness.finish(goals, record, given.json)


def find_rows(path, scratch):
    """Prepare rows in `scratch`; return the prepared folder and the rows' name."""
    from isoglot.data.prepared import prepare
    from isoglot.data.readers.lareqa_rows import lareqa_rows
    from isoglot.data.rows import write_rows

    if path is None:
        path = SHARED if SHARED.is_dir() else atlas()
    name = path.name
    if path.is_dir():
        write_rows(lareqa_rows(path), scratch / f"{path.name}.jsonl")
        path = scratch / f"{path.name}.jsonl"
    prepare([path], scratch / "prepared", show_progress=False)
    return scratch / "prepared", name


def atlas():
    """The path of the embedded corpus."""
    import isoglot

    return Path(isoglot.__file__).parent / "atlas" / "train.jsonl"


def child(task):
    """Measure one alternative in this process."""
    if task["side"] == "ceiling":
        return ceiling(task["device"], task["clock"])
    import sentence_transformers  # noqa: F401
    import torch

    import isoglot.training.run  # noqa: F401
    from isoglot.data.prepared import open_prepared

    before = harness.rss()
    rows = open_prepared(Path(task["rows"]))
    times, tokens = [], []
    with tempfile.TemporaryDirectory() as scratch:
        train = isoglot_steps if task["side"] == "isoglot" else st_steps
        parameters = train(task, rows, Path(scratch), times, tokens)
    seconds = times[-1] - times[task["warm"] - 1]
    steps = len(times) - task["warm"]
    cuda = task["device"].startswith("cuda")
    real = sum(tokens[task["warm"] : len(times)]) / steps
    return {
        "pairs_per_second": steps * task["batch"] / seconds,
        "memory": torch.cuda.max_memory_allocated() if cuda else harness.peak() - before,
        "tokens_per_pair": real / task["batch"],
        # Forward and backward of every weight outside the token table, for non-padding tokens.
        "flops": 6 * parameters * real * steps / seconds,
    }


def count_parameters(model):
    return sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)


def now(device, clock="wall"):
    import torch

    if clock == "processor":
        return time.process_time()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def isoglot_steps(task, rows, scratch, times, tokens):
    """Train with isoglot's defaults, recording times and tokens per step; return the number of parameters."""
    module = importlib.import_module("isoglot.training.run")
    from isoglot.training.collator import TokenCollator
    from isoglot.training.log import StepLog
    from isoglot.training.settings import TrainSettings

    found = []

    class Clock(StepLog):
        def on_step_end(self, args, state, control, **more):
            times.append(now(task["device"], task["clock"]))
            super().on_step_end(args, state, control, **more)

        def on_train_begin(self, args, state, control, model=None, **more):
            found.append(count_parameters(model))
            super().on_train_begin(args, state, control, model=model, **more)

    module.StepLog = Clock
    real = TokenCollator.__call__

    def counted(self, features):
        batch = real(self, features)
        tokens.append(sum(int(column["attention_mask"].sum()) for column in batch["columns"]))
        return batch

    TokenCollator.__call__ = counted
    steps = task["steps"] + task["warm"]
    settings = TrainSettings(
        batch_size=task["batch"],
        max_steps=steps,
        temperature=TEMPERATURE,
        save_steps=0,
        device=task["device"],
        chunk=task["chunk"],
        precision="bf16",
        query_length=192,
        passage_length=192,
    )
    module.save_model = lambda *args: None
    module.train(task["model"], rows, scratch, settings)
    return found[0]


def st_steps(task, rows, scratch, times, tokens):
    """Train with Sentence Transformers' Trainer as in its documentation, recording the same."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.training_args import BatchSamplers
    from transformers import TrainerCallback

    from isoglot.encoders.loading import load

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **more):
            times.append(now(task["device"], task["clock"]))

    model = load(task["model"], device=task["device"])
    model.max_seq_length = 192
    data = Dataset.from_dict({"query": rows.column("query"), "passage": rows.passages()})
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(scratch),
            max_steps=task["steps"] + task["warm"],
            per_device_train_batch_size=task["batch"],
            learning_rate=3e-5,
            weight_decay=0.01,
            warmup_steps=10,
            bf16=task["side"] == "st-bf16",
            use_cpu=task["device"].startswith("cpu"),
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            prompts={"query": model.prompts["query"], "passage": model.prompts["document"]},
            save_strategy="no",
            logging_steps=10,
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=task["device"].startswith("cuda"),
        ),
        train_dataset=data,
        loss=MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE),
        callbacks=[Clock()],
    )
    real = trainer.data_collator.__class__.__call__

    def counted(self, features):
        batch = real(self, features)
        tokens.append(int(sum(value.sum() for key, value in batch.items() if key.endswith("attention_mask"))))
        return batch

    trainer.data_collator.__class__.__call__ = counted
    trainer.train()
    return count_parameters(model)


def ceiling(device, clock):
    """FLOP/s of the machine's matrix products: bf16, 2048 x 2048 (8192 on a GPU), best of ten."""
    import torch

    size = 8192 if device.startswith("cuda") else 2048
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    left @ right
    best = float("inf")
    for _ in range(10):
        started = now(device, clock)
        left @ right
        best = min(best, now(device, clock) - started)
    return {"flops": 2 * size**3 / best}


if __name__ == "__main__":
    sys.exit(main())
