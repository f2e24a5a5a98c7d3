"""Encoding: isoglot's path against SentenceTransformer.encode with its defaults, and what it does to mAP.

    python performance/encode.py --data-dir ../shared/data/xquad-r

The first questions of each language with all candidates of their paragraphs' languages, thinned to --texts texts;
the same model, prompts and length on both sides. A counter in the model's forward pass shows how many texts were
encoded: isoglot encodes each distinct one once.
"""

import json
import time
from pathlib import Path

import numpy as np
from harness import finish, interleaved, median, parser, peak, rss

from isoglot.data.benchmarks.benchmark import assemble
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load, quiet_libraries
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.scoring import score

LENGTH = 192


def thinned(folder, texts):
    """Some question groups with their answers and as many further candidates, in all languages present."""
    whole = load_lareqa(Path(folder), "xquad-r")
    languages = len(whole.languages)
    groups = max(8, texts // (3 * languages))
    kept = [q for q in range(len(whole.queries)) if whole.group[q] % max(1, len(whole.groups) // groups) == 0]
    gold = {c for q in kept for c in whole.relevant(q).tolist()}
    every = max(1, len(whole.candidates) * 3 // (2 * texts))
    chosen = sorted(gold | set(range(0, len(whole.candidates), every)))
    code = whole.languages
    queries = [
        (whole.queries.ids[q], code[whole.queries.lang[q]], whole.groups[whole.group[q]], whole.queries.texts[q])
        for q in kept
    ]
    passages = [(whole.candidates.ids[c], code[whole.candidates.lang[c]], whole.candidates.texts[c]) for c in chosen]
    answers = {whole.queries.ids[q]: [whole.candidates.ids[c] for c in whole.relevant(q)] for q in kept}
    return assemble("thinned", queries, passages, answers, by="query")


def child(task):
    quiet_libraries()
    benchmark = thinned(task["data_dir"], task["texts"])
    model = load(task["model"])
    model.max_seq_length = LENGTH
    seen = []
    model[0].register_forward_pre_hook(lambda module, given: seen.append(len(given[0]["input_ids"])))
    sides = ((benchmark.queries.texts, "query"), (benchmark.candidates.texts, "passage"))
    model.encode(["warm up"])
    seen.clear()
    before, started = rss(), time.perf_counter()
    if task["run"] == "ours":
        vectors = [encode(model, texts, role, length=LENGTH).vectors for texts, role in sides]
    else:
        (queries, _), (passages, _) = sides
        vectors = [model.encode_query(queries), model.encode_document(passages)]
    seconds = time.perf_counter() - started
    result = score(benchmark, *(np.asarray(side, np.float32) for side in vectors))
    return {
        "seconds": seconds,
        "peak_bytes": peak() - before,
        "texts": sum(len(texts) for texts, _ in sides),
        "distinct": sum(len(set(texts)) for texts, _ in sides),
        "encoded": sum(seen),
        "map": {setting: result.macro(setting, "map") for setting in (MONO, CROSS, POOL)},
    }


def main():
    made = parser(__doc__)
    made.add_argument("--data-dir", default="../shared/data/xquad-r", help="XQuAD-R files")
    made.add_argument("--model", default="embedded")
    made.add_argument("--texts", type=int, default=3000, help="about how many to encode")
    args = made.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    task = {"data_dir": args.data_dir, "model": args.model, "texts": 200 if args.quick else args.texts}
    tasks = {name: {**task, "run": name} for name in ("ours", "sentence_transformers")}
    results = interleaved(__file__, tasks, 1 if args.quick else args.repeats)
    ours, theirs = results["ours"], results["sentence_transformers"]
    drop = max(abs(ours[0]["map"][setting] - theirs[0]["map"][setting]) for setting in (MONO, CROSS, POOL))
    finish(
        [
            ("encode-speed", median(theirs, "seconds") / median(ours, "seconds"), 2, True),
            ("encode-map-change", drop, 0.002, False),
            ("encode-texts-per-distinct", ours[0]["encoded"] / ours[0]["distinct"], 1, False),
        ],
        {"results": results},
        args.json,
    )


if __name__ == "__main__":
    main()
