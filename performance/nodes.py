"""The cost of a training step on several machines: measured over loopback, fitted, and projected to eight machines.

    python performance/nodes.py                # 1, 2 and 4 processes, gradients of 2 to 64 MB
    python performance/nodes.py --quick        # 1 and 2 processes, fewer sizes

A step first computes gradients, then averages them over all processes (`training.processes`), without overlap. Each
process runs one thread. Averaging costs a + b * bytes; a and b are fitted to the shortest of the repeats at all sizes
but one, which is then predicted. Over a network, each of N machines in a ring sends 2 (N - 1) / N times the bytes.
"""

import json
import multiprocessing
import os
import socket
import time
from datetime import timedelta

import harness
import numpy as np

MEGABYTES = (2, 4, 8, 16, 64)
HELD_OUT = 16
MACHINES, LINKS, EFFICIENCY = 8, (10, 25, 100), 0.9
# Trained parameters in millions: all, or the layers and 20,000 rows of the token table (`--embeddings used`).
MODELS = {
    "multilingual-e5-small, used rows": 21.5 + 20e3 * 384 / 1e6,
    "multilingual-e5-small, all": 117.7,
    "xlm-roberta-base, used rows": 86.0 + 20e3 * 768 / 1e6,
    "xlm-roberta-base, all": 278.0,
    "xlm-roberta-large, used rows": 303.9 + 20e3 * 1024 / 1e6,
    "xlm-roberta-large, all": 559.9,
}
COMPUTED = (0.25, 1.0, 4.0)  # seconds of a step without averaging


def main():
    given = harness.parser(__doc__).parse_args()
    if given.child:
        print(json.dumps(child(json.loads(given.child))))
        return
    worlds = (1, 2) if given.quick else (1, 2, 4)
    sizes = (2, 8, HELD_OUT) if given.quick else MEGABYTES
    repeats = 3 if given.quick else given.repeats
    tasks = {str(world): {"processes": world, "megabytes": sizes, "turns": 7} for world in worlds}
    found = harness.interleaved(__file__, tasks, repeats)
    measured = []
    print(f"{'processes':>9} {'wire':>5} {'ms, and a MB':>14} {'held out':>18} {'step: compute + mean = both ms':>32}")
    for world in worlds:
        runs = found[str(world)]
        compute = min(run["compute"] for run in runs)
        for wire in ("fp32", "bf16"):
            seconds = {size: min(run[wire][str(size)] for run in runs) for size in sizes}
            a, b = fit({size: value for size, value in seconds.items() if size != HELD_OUT})
            step = min(run["step"][wire] for run in runs)
            predicted = compute + a + b * runs[0]["gradient_megabytes"]
            entry = {
                "processes": world, "wire": wire, "seconds": seconds, "a": a, "b": b, "held_out": seconds[HELD_OUT],
                "held_out_predicted": a + b * HELD_OUT, "compute": compute, "step": step, "step_predicted": predicted,
            }  # fmt: skip
            measured.append(entry)
            print(
                f"{world:9} {wire:>5} {a * 1e3:6.2f} {b * 1e3:7.3f} {seconds[HELD_OUT] * 1e3:8.1f} "
                f"({entry['held_out_predicted'] * 1e3:6.1f}) {compute * 1e3:10.1f} {step * 1e3:9.1f} "
                f"({predicted * 1e3:.1f} predicted)"
            )
    copying = {entry["wire"]: entry["b"] for entry in measured if entry["processes"] == 1}
    read_off = list(project(copying))
    print(f"\n{MACHINES} machines, seconds of the mean (share of a step that computes for {COMPUTED} s)")
    for entry in read_off:
        shares = " ".join(f"{share:.2f}" for share in entry["efficiency"])
        print(
            f"{entry['model']:34} {entry['wire']} {entry['gbit']:4} GbE {entry['network']:7.3f} s network "
            f"{entry['copying']:7.3f} s copying here  ({shares})"
        )
    harness.finish(
        [],
        {
            "load": os.getloadavg(),
            "measured": measured,
            "read_off": read_off,
            "assumed": {
                "link_efficiency": EFFICIENCY,
                "ring": "2 (N - 1) / N of the bytes over each machine's own full-duplex link, nothing overlaps",
                "copying": "the seconds a MB of one process here: into one piece, rounded, and back",
                "computed_seconds": COMPUTED,
                "token_table_rows": 20_000,
            },
        },
        given.json,
    )


def fit(seconds):
    """Fit a + b * megabytes by least squares of relative errors; a is set to 0 if it would be negative."""
    sizes, values = np.array(list(seconds), dtype=float), np.array(list(seconds.values()))
    columns = np.stack([np.ones_like(sizes), sizes], axis=1) / values[:, None]
    a, b = np.linalg.lstsq(columns, np.ones_like(values), rcond=None)[0]
    return (float(a), float(b)) if a >= 0 else (0.0, float(np.mean(values / sizes)))


def project(copying):
    """Yield the seconds of averaging, and the share of a step spent computing, by model, wire format and link."""
    for model, millions in MODELS.items():
        for wire, width in (("fp32", 4), ("bf16", 2)):
            for gbit in LINKS:
                sent = millions * 1e6 * width * 2 * (MACHINES - 1) / MACHINES
                network, copied = sent * 8 / (gbit * 1e9 * EFFICIENCY), millions * 4 * copying[wire]
                share = [computed / (computed + network + copied) for computed in COMPUTED]
                entry = {"model": model, "wire": wire, "gbit": gbit, "network": network, "copying": copied}
                yield {**entry, "efficiency": share}


def child(task):
    """Seconds of the slowest of some processes over loopback: to compute, and to average by size and wire format."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    world = task["processes"]
    processes = [context.Process(target=work, args=(rank, world, port, task, results)) for rank in range(world)]
    for process in processes:
        process.start()
    said = [results.get(timeout=900) for _ in processes]
    for process in processes:
        process.join()
    slowest = lambda *keys: max(_get(one, keys) for one in said)  # noqa: E731
    return {
        "compute": slowest("compute"),
        "gradient_megabytes": said[0]["gradient_megabytes"],
        "step": {wire: slowest("step", wire) for wire in ("fp32", "bf16")},
        **{wire: {size: slowest(wire, size) for size in map(str, task["megabytes"])} for wire in ("fp32", "bf16")},
    }


def _get(value, keys):
    for key in keys:
        value = value[key]
    return value


def work(rank, world, port, task, results):
    import torch
    from transformers import BertConfig, BertModel

    from isoglot.training.processes import average_over_processes

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(world))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", timeout=timedelta(minutes=15))
    wires = {"fp32": None, "bf16": torch.bfloat16}
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=4000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
            max_position_embeddings=64,
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    tokens = torch.randint(4000, (8, 32))

    def compute():
        model.zero_grad()
        model(tokens).last_hidden_state.square().mean().backward()

    def mean(wire):
        average_over_processes([p.grad for p in model.parameters() if p.grad is not None], wires[wire])

    def shortest(what):
        taken = []
        for _ in range(task["turns"]):
            torch.distributed.barrier()
            started = time.perf_counter()
            what()
            taken.append(time.perf_counter() - started)
        return min(taken)

    compute()
    said = {"compute": shortest(compute), "step": {}}
    said["gradient_megabytes"] = sum(p.grad.numel() * 4 for p in model.parameters() if p.grad is not None) / 1e6
    for wire in wires:
        said["step"][wire] = shortest(lambda wire=wire: (compute(), mean(wire)))
        said[wire] = {}
        for size in task["megabytes"]:
            # Many tensors, like gradients.
            tensors = list(torch.ones(size * 250_000).tensor_split(40))
            said[wire][str(size)] = shortest(lambda wire=wire, held=tensors: average_over_processes(held, wires[wire]))
    results.put(said)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
