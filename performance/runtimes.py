"""OpenVINO on one core against isoglot's own encoder: in bf16, and in two kinds of int8.

    pip install openvino nncf
    taskset -c 0 python performance/runtimes.py --data-dir ../shared/data/xquad-r --json results/runtimes.json
    python performance/runtimes.py --quick     # 100 candidates of the embedded corpus, one round

Encodes candidates of XQuAD-R in all languages present (without --data-dir, passages of the embedded corpus), with the
same texts, prompts and length for all alternatives, which take turns. OpenVINO's batches are of texts of similar
length; the best of three batch sizes counts. `weights` has int8 weights and quantises inputs dynamically; `static`
quantises inputs by ranges calibrated on passages of the embedded corpus. Cosines are to isoglot's vector of the same
text.
"""

import random
import statistics
import tempfile
import time
from pathlib import Path

from harness import atlas_rows, finish, parser

LENGTH, SIZES, CALIBRATION = 192, (8, 16, 32), 128


def main():
    made = parser(__doc__)
    made.add_argument("--data-dir", type=Path, help="XQuAD-R files")
    made.add_argument("--model", default="embedded")
    made.add_argument("--texts", type=int, default=1500)
    args = made.parse_args()
    import numpy as np
    import openvino
    import torch

    from isoglot.encoders.encoding import ModelEmbedder
    from isoglot.encoders.loading import load, quiet_libraries

    torch.set_num_threads(1)
    quiet_libraries()
    passages = [row["passage"] for row in atlas_rows()]
    random.Random(0).shuffle(passages)
    texts = passages if args.data_dir is None else candidates(args.data_dir)
    texts = texts[: 100 if args.quick else args.texts]
    model = load(args.model, device="cpu")
    embed = ModelEmbedder(model, length=LENGTH)
    ids = token_ids(model, texts)
    order = np.argsort([len(own) for own in ids], kind="stable")

    def ours():
        return embed.encoded(texts, "passage").vectors

    def theirs(request, size):
        found = np.zeros((len(texts), model.get_embedding_dimension()), np.float32)
        for first in range(0, len(texts), size):
            part = order[first : first + size]
            found[part] = request.infer(padded([ids[text] for text in part]))[0]
        return found

    with tempfile.TemporaryDirectory() as folder:
        runtimes = compiled(openvino, model, token_ids(model, passages[:CALIBRATION]), Path(folder))
    sides = {"isoglot": ours}
    for name, request in runtimes.items():
        for size in SIZES:
            sides[f"{name}-{size}"] = lambda request=request, size=size: theirs(request, size)
    right = ours()
    rates = {name: [] for name in sides}
    cosines = {}
    for _ in range(1 if args.quick else args.repeats):
        for name, side in sides.items():
            started = time.perf_counter()
            found = side()
            rates[name].append(len(texts) / (time.perf_counter() - started))
            cosines[name] = float((found * right).sum(axis=1).mean())
    short = padded([min(ids, key=lambda own: abs(len(own) - 16))])
    alone = {name: milliseconds(lambda request=request: request.infer(short)) for name, request in runtimes.items()}
    text = texts[min(range(len(ids)), key=lambda at: abs(len(ids[at]) - 16))]
    alone["isoglot"] = milliseconds(lambda: embed.encoded([text], "passage"))
    figures = {}
    for name in ("isoglot", *runtimes):
        tried = {side: statistics.median(rates[side]) for side in sides if side.split("-")[0] == name}
        best = max(tried, key=tried.get)
        figures[name] = {"texts a second": tried[best], "cosine": cosines[best], "one text, ms": alone[name]}
        print(f"{best:12} {tried[best]:6.0f} texts/s   cosine {cosines[best]:.4f}   one text {alone[name]:5.1f} ms")
    finish([], {"openvino": openvino.__version__, "texts": len(texts), "figures": figures, "rates": rates}, args.json)


def candidates(folder):
    """All candidates of a LAReQA folder, shuffled."""
    from isoglot.data.benchmarks.lareqa import load_lareqa

    found = list(load_lareqa(folder, "xquad-r").candidates.texts)
    random.Random(0).shuffle(found)
    return found


def token_ids(model, texts):
    """Token ids of passages, including the prompt."""
    prompt = model.prompts.get("document", "")
    return model.tokenizer([prompt + text for text in texts], truncation=True, max_length=LENGTH)["input_ids"]


def padded(ids):
    """The model's two inputs for a batch, padded to its longest text."""
    import numpy as np

    given = np.ones((len(ids), max(map(len, ids))), np.int64)
    mask = np.zeros_like(given)
    for row, own in enumerate(ids):
        given[row, : len(own)], mask[row, : len(own)] = own, 1
    return {"input_ids": given, "attention_mask": mask}


def compiled(openvino, model, calibration, folder):
    """A single-threaded inference request for each variant of the model, with mean pooling."""
    import nncf
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = model[0].auto_model.float().eval()

        def forward(self, input_ids, attention_mask):
            hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask[..., None].to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)

    example = {name: torch.from_numpy(values) for name, values in padded(calibration[:2]).items()}
    plain = folder / "plain.xml"
    openvino.save_model(openvino.convert_model(Pooled(), example_input=example), plain, compress_to_fp16=False)
    core = openvino.Core()
    data = nncf.Dataset([[own] for own in calibration], padded)
    kinds = {
        "bf16": core.read_model(plain),
        "weights": nncf.compress_weights(core.read_model(plain), mode=nncf.CompressWeightsMode.INT8_SYM),
        "static": nncf.quantize(core.read_model(plain), data, model_type=nncf.ModelType.TRANSFORMER),
    }
    how = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    return {name: core.compile_model(kind, "CPU", how).create_infer_request() for name, kind in kinds.items()}


def milliseconds(work):
    """Median milliseconds of a hundred calls, after ten warm-up calls."""
    found = []
    for _ in range(110):
        started = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - started))
    return statistics.median(found[10:])


if __name__ == "__main__":
    main()
