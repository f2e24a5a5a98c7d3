"""Time `isoglot search` from a cold start, against importing Sentence Transformers and loading the model.

    python performance/cold_start.py --json results/cold_start.json
    python performance/cold_start.py --quick     # each once

The alternatives take turns, each in a new process; the page cache is warm. `--clock processor` compares CPU time, which
depends less on other load than wall time does.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import finish, parser

TEXTS = ("Der Mond zieht das Meer an.", "La luna atrae el mar.", "The bread is baked in the morning.")
OPEN = "import sys\nfrom sentence_transformers import SentenceTransformer\nSentenceTransformer(sys.argv[1])\n"


def spent(arguments):
    """Wall and CPU seconds of a Python process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: failed\n{done.stderr[-3000:]}")
    return {"wall": wall, "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main():
    made = parser(__doc__)
    made.add_argument("--model", default="embedded")
    made.add_argument("--clock", choices=["wall", "processor"], default="wall", help="which the goals are held against")
    args = made.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from isoglot.encoders.model_names import locate

    folder, _ = locate(args.model)
    with tempfile.TemporaryDirectory() as scratch:
        notes = Path(scratch, "notes.jsonl")
        notes.write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS))
        index = str(Path(scratch, "index"))
        spent(["-m", "isoglot", "index", str(notes), "-o", index, "--model", args.model])
        ways = {
            "dense": ["-m", "isoglot", "search", index, "Mond"],
            "lexical": ["-m", "isoglot", "search", index, "Mond", "--mode", "lexical"],
            "open": ["-c", OPEN, folder],
        }
        rounds = [
            {name: spent(arguments) for name, arguments in ways.items()}
            for _ in range(1 if args.quick else args.repeats)
        ]
    for name in ways:
        both = (
            f"{clock} {statistics.median(entry[name][clock] for entry in rounds):.2f} s" for clock in rounds[0][name]
        )
        print(f"{name:8} " + ", ".join(both))

    def ratio(name):
        return statistics.median(entry[name][args.clock] / entry["open"][args.clock] for entry in rounds)

    finish(
        [("cold-dense-search", ratio("dense"), 1, False), ("cold-lexical-search", ratio("lexical"), 0.25, False)],
        {"clock": args.clock, "rounds": rounds},
        args.json,
    )


if __name__ == "__main__":
    main()
