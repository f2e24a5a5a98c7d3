"""Matrix products in int8 against prepacked bf16 ones, at the shapes of multilingual-e5-small's layers.

    taskset -c 0 python performance/int8.py --json results/int8.json
    python performance/int8.py --quick     # three products of each kind

`dynamic` is torch's dynamic quantisation (float32 in and out, the range computed at every call) with its faster engine;
`static` a product of inputs already in 8 bits, and `rounding` the cost of quantising them from bf16.
"""

import statistics
import sys
import time
import warnings

from harness import finish, parser

SHAPES = {"queries, keys, values": (384, 1152), "wide": (384, 1536), "narrow": (1536, 384)}


def milliseconds(work, repeats):
    """Median milliseconds of CPU time per call."""
    work()
    found = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        found.append(1000 * (time.process_time() - started))
    return statistics.median(found)


def measured(rows, size, out, repeats):
    """Milliseconds of each kind of product of (rows, size) and (size, out)."""
    import torch
    from torch import nn

    linear = nn.Linear(size, out)
    weight, bias = linear.weight.detach(), linear.bias.detach()
    values = torch.randn(rows, size)
    half = values.bfloat16()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.bfloat16(), rows)
    found = {
        "bf16": milliseconds(
            lambda: torch.ops.mkldnn._linear_pointwise(half, packed, bias.bfloat16(), "none", [], ""), repeats
        )
    }
    dynamic = []
    for engine in ("onednn", "x86"):
        torch.backends.quantized.engine = engine
        quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(linear), {nn.Linear}, dtype=torch.qint8)
        dynamic.append(milliseconds(lambda quantised=quantised: quantised(values), repeats))
    found["dynamic"] = min(dynamic)
    scale = weight.abs().amax(dim=1) / 127
    whole = torch.ops.onednn.qlinear_prepack((weight / scale[:, None]).round().to(torch.int8), None)
    step = float(values.abs().max()) / 127

    def rounding():
        return (half / step).round_().add_(128).clamp_(0, 255).to(torch.uint8)

    small, zeros = rounding(), torch.zeros(out, dtype=torch.int32)
    found["static"] = milliseconds(
        lambda: torch.ops.onednn.qlinear_pointwise(
            small, step, 128, whole, scale, zeros, bias, 1.0, 0, torch.bfloat16, "none", [], ""
        ),
        repeats,
    )
    found["rounding"] = milliseconds(rounding, repeats)
    return found


def main():
    made = parser(__doc__)
    args = made.parse_args()
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = []
    with torch.inference_mode():
        for rows in (1024, 4096):
            for name, (size, out) in SHAPES.items():
                entry = measured(rows, size, out, 3 if args.quick else 4 * args.repeats)
                table.append({"rows": rows, "product": name, **entry})
                print(f"{rows:5} {name:22}", ", ".join(f"{key} {value:.2f} ms" for key, value in entry.items()))
                sys.stdout.flush()
    best = sum(min(entry["dynamic"], entry["static"] + entry["rounding"]) for entry in table)
    finish([("int8-over-bf16", sum(entry["bf16"] for entry in table) / best, 1, True)], {"table": table}, args.json)


if __name__ == "__main__":
    main()
