"""Encoding speed: isoglot against Sentence Transformers (its defaults, and bf16 autocast at its best batch size).

    python performance/encode.py --data-dir ../shared/data/xquad-r --json results/encode.json
    python performance/encode.py --quick     # 150 texts, two rounds, the default batch size of each
    taskset -c 0 python performance/encode.py --threads 1 --clock processor     # on a machine with other load

Questions and candidates of XQuAD-R in all languages present, thinned to about --texts texts; the same model, prompts
and length for all alternatives, which take turns in one process. A first, uncounted pass of each warms up all shapes
and finds the two best batch sizes of bf16 autocast. Finally every ranking is scored: mAP shows what speed costs.

If the processor has no bf16 instructions, autocast would take minutes, so it is compared on --few texts, once, and
Sentence Transformers' best batch size is one of fp32. If it has int8 instructions, isoglot's int8 is compared too.

The ceiling is the machine's product of two 2048 x 2048 matrices, in bf16 if supported; an encoder's share counts two
operations per token and layer weight, without padding and attention.
"""

import os
import statistics
import time

from harness import finish, machine, parser, thinned

LENGTH = 192
SIZES = (8, 16, 32, 64, 128)
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def timed(work):
    """Wall and CPU seconds of a function call, and its result."""
    before = {name: clock() for name, clock in CLOCKS.items()}
    found = work()
    return {name: clock() - before[name] for name, clock in CLOCKS.items()}, found


def ceiling(half):
    """Operations per second of the machine's matrix products, in bf16 or fp32: the best of ten, by each clock."""
    import torch

    size = 2048
    left, right = (torch.randn(size, size, dtype=torch.bfloat16 if half else torch.float32) for _ in range(2))
    found = [timed(lambda: left @ right)[0] for _ in range(10)]
    return {name: 2 * size**3 / min(entry[name] for entry in found) for name in CLOCKS}


def operations_a_token(model):
    """Operations per token: two for each weight of the layers."""
    return 2 * sum(weights.numel() for weights in model[0].auto_model.encoder.parameters() if weights.ndim == 2)


def ours(model, queries, candidates, precision="auto"):
    """Return a function that encodes both lists of texts with isoglot."""
    from isoglot.encoders.encoding import ModelEmbedder

    embed = ModelEmbedder(model, length=LENGTH, precision=precision)
    return lambda: [embed.encoded(texts, role) for texts, role in ((queries, "query"), (candidates, "passage"))]


def theirs(model, queries, candidates):
    """Return functions that encode them with Sentence Transformers, without and with bf16 autocast."""
    import torch

    model.max_seq_length = LENGTH

    def whole(**how):
        return [model.encode_query(queries, **how), model.encode_document(candidates, **how)]

    def half(**how):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return whole(**how)

    return whole, half


def few(model, benchmark, texts):
    """Seconds of all three alternatives for some texts of each role."""
    some = [side.texts[: texts // 2] for side in (benchmark.queries, benchmark.candidates)]
    found = {}
    for name, work in zip(("isoglot", "st", "st-bf16"), (ours(model, *some), *theirs(model, *some)), strict=True):
        if name != "st-bf16":
            work()
        found[name] = timed(work)[0]
    return found


def main():
    made = parser(__doc__)
    made.add_argument("--data-dir", default="../shared/data/xquad-r", help="XQuAD-R files")
    made.add_argument("--model", default="embedded")
    made.add_argument("--texts", type=int, default=600, help="about how many to encode")
    made.add_argument("--few", type=int, default=16, help="texts for bf16 autocast where the processor lacks it")
    made.add_argument("--threads", type=int, help="of torch; its own choice when not given")
    made.add_argument("--clock", choices=CLOCKS, default="wall", help="which one the goals are held against")
    args = made.parse_args()
    import numpy as np
    import torch

    from isoglot.encoders.devices import fast_bf16, fast_int8
    from isoglot.encoders.loading import load, quiet_libraries
    from isoglot.measuring.per_query import CROSS, MONO, POOL
    from isoglot.measuring.scoring import score

    if args.threads:
        torch.set_num_threads(args.threads)
    quiet_libraries()
    benchmark = thinned(args.data_dir, 150 if args.quick else args.texts)
    model = load(args.model, device="cpu")
    half = fast_bf16("cpu")
    both = benchmark.queries.texts, benchmark.candidates.texts
    own = {"isoglot": ours(model, *both)}
    if fast_int8("cpu"):
        own["isoglot-int8"] = ours(model, *both, "int8")
    whole, autocast = theirs(model, *both)
    sized, kind = (autocast, "st-bf16") if half else (whole, "st-fp32")
    sizes = [size for size in SIZES if size < 64 or not args.quick]
    every = {f"{kind}-{size}": lambda size=size: sized(batch_size=size) for size in sizes}
    every = {**own, "st": whole, **every}
    first = {name: timed(work) for name, work in every.items()}
    best = sorted((name for name in first if kind in name), key=lambda name: first[name][0][args.clock])[:2]
    rounds, ceilings = [], []
    for _ in range(2 if args.quick else args.repeats):
        ceilings.append(ceiling(half))
        rounds.append({name: timed(every[name])[0] for name in (*own, "st", *best)})
    by_few = None if half else few(model, benchmark, args.few)
    encoded = first["isoglot"][1]
    tokens = sum(side.tokens for side in encoded)
    texts = sum(len(side.vectors) for side in encoded)

    def middle(name, clock):
        return statistics.median(entry[name][clock] for entry in rounds)

    def ratio(name, clock):
        return statistics.median(entry[name][clock] / entry["isoglot"][clock] for entry in rounds)

    best = min(best, key=lambda name: middle(name, args.clock))
    found = {}
    for clock in CLOCKS:
        top = statistics.median(entry[clock] for entry in ceilings)
        share = statistics.median(
            operations_a_token(model) * tokens / entry["isoglot"][clock] / peak[clock]
            for entry, peak in zip(rounds, ceilings, strict=True)
        )
        found[clock] = {
            "texts_per_second": {name: texts / middle(name, clock) for name in rounds[0]},
            "ratio": {name: ratio(name, clock) for name in rounds[0]},
            "share_of_ceiling": share,
            "ceiling_flops": top,
        }
    distinct = sum(side.texts for side in encoded)
    print(f"{texts} texts, {distinct} distinct, {tokens} tokens; load {os.getloadavg()[0]:.1f}")
    for name in rounds[0]:
        speeds = ", ".join(f"{clock} {found[clock]['texts_per_second'][name]:.0f}" for clock in CLOCKS)
        print(f"{name:12} texts a second: {speeds}; isoglot's ratio {found[args.clock]['ratio'][name]:.2f}")
    vectors = {name: [side.vectors for side in first[name][1]] for name in own}
    vectors |= {"st": first["st"][1], best: first[best][1]}
    scored = {
        name: score(benchmark, *(np.asarray(side, np.float32) for side in both)) for name, both in vectors.items()
    }
    settings = (MONO, CROSS, POOL)
    mean = {name: {setting: result.macro(setting, "map") for setting in settings} for name, result in scored.items()}
    if by_few:
        over_half = by_few["st-bf16"][args.clock] / by_few["isoglot"][args.clock]
        print(f"bf16 autocast, {args.few} texts: isoglot's ratio {over_half:.1f}")
    else:
        over_half = found[args.clock]["ratio"][best]
    drops = {name: max(abs(mean[name][setting] - mean["st"][setting]) for setting in settings) for name in own}
    chosen = found[args.clock]
    of_int8 = []
    if half and "isoglot-int8" in own:
        over = statistics.median(entry[best][args.clock] / entry["isoglot-int8"][args.clock] for entry in rounds)
        of_int8.append(("encode-int8-over-st-bf16", over, 2, True))
        of_int8.append(("encode-int8-map-change", drops["isoglot-int8"], 0.002, False))
    tiles = machine()["amx"]
    finish(
        [
            ("encode-over-st", chosen["ratio"]["st"], 4 if tiles else 2, True),
            ("encode-over-st-bf16", over_half, 2, True),
            ("encode-share-of-ceiling", chosen["share_of_ceiling"], 0.35, True),
            ("encode-map-change", drops["isoglot"], 0.002, False),
            *of_int8,
        ],
        {
            "clock": args.clock,
            "texts": texts,
            "tokens": tokens,
            "best_size": best,
            "few": by_few,
            "first_pass": {name: seconds for name, (seconds, _) in first.items()},
            "found": found,
            "rounds": rounds,
            "map": mean,
        },
        args.json,
    )


if __name__ == "__main__":
    main()
