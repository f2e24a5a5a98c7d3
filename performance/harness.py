"""Shared code of the benchmarks: child processes, interleaving, a test server, goals, texts, facts about the machine.

Every program has `--quick`: a smoke test in under a minute, reduced as described in the program's docstring.
"""

import argparse
import json
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

_FENCES = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def parser(description):
    """Return a parser with the arguments that all benchmarks share."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a smoke figure in under 50 s")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the full record")
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--child", help=argparse.SUPPRESS)
    return made


def in_child(program, task, timeout=3600):
    """Run one task of a program in its own process and return its result: the last line that it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, program, "--child", json.dumps(task)], capture_output=True, text=True, timeout=timeout
    )
    if done.returncode:
        sys.exit(f"{task}: failed\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def interleaved(program, tasks, repeats):
    """Run every task once, then every task again, and so on; return the list of results of each by name."""
    results = {name: [] for name in tasks}
    for number in range(repeats):
        for name, task in tasks.items():
            started = time.perf_counter()
            results[name].append(in_child(program, task))
            seconds = time.perf_counter() - started
            figures = {key: value for key, value in results[name][-1].items() if isinstance(value, (int, float))}
            found = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
            print(f"[{number + 1}/{repeats}] {name}: {seconds:.0f} s ({found})", file=sys.stderr, flush=True)
    return results


def thinned(folder, texts):
    """Thin XQuAD-R to about `texts` texts: some question groups, their answers and further candidates."""
    from isoglot.data.benchmarks.benchmark import assemble
    from isoglot.data.benchmarks.lareqa import load_lareqa

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


def atlas_rows():
    """Yield the rows of the embedded corpus, as dicts."""
    for name in ("train", "test"):
        for line in (files("isoglot") / "atlas" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def markdown_pages(folder):
    """Yield (collection, language, text without code blocks) of the Markdown files in LANG/ folders."""
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(place.rglob("*.md")):
            yield folder.parent.name, place.name, _FENCES.sub("", path.read_text(encoding="utf-8"))


def bytes_below(folder):
    """Total size of all files in a folder, recursively."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def median(results, key):
    """Median of one entry over the repeats."""
    return statistics.median(result[key] for result in results)


def rss(pid="self"):
    """Current resident memory of this or another process, in bytes."""
    with open(f"/proc/{pid}/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()


def rss_mb(pid):
    """Current resident memory of a process and its descendants, in MiB; None if the system does not report it."""
    try:
        return round(sum(map(rss, family(pid))) / 2**20, 1)
    except OSError:
        return None


def family(pid):
    """Process ids of a process and its descendants."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(one for file in lists for child in file.read_text().split() for one in family(int(child)))]


def private():
    """Private dirty memory of this process in bytes, which excludes mapped files."""
    with open("/proc/self/smaps_rollup") as stream:
        return sum(int(line.split()[1]) * 1024 for line in stream if line.startswith("Private_Dirty"))


def peak(pid="self"):
    """Peak resident memory of a process in bytes (since exec; ru_maxrss would include the parent's)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def unit(vectors):
    """Scale rows to unit length, float32."""
    import numpy as np

    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Served:
    """Context manager for a server of generated passages (`serve.py`) in its own process.

    Args:
        flags: of `serve.py`, such as `--passages 500`.
    """

    def __init__(self, *flags):
        self._command = [sys.executable, str(Path(__file__).parent / "serve.py"), "--child", *flags]

    def __enter__(self):
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        said = self._process.stdout.readline()
        if not said:
            self._process.wait()
            self._log.seek(0)
            sys.exit(f"the server does not start:\n{self._log.read()[-3000:]}")
        self.ready = json.loads(said)
        self.port, self.pid = self.ready["port"], self._process.pid
        return self

    def end(self):
        """Stop the server with SIGINT, like Ctrl-C; return its last line of output, as JSON, and its stderr."""
        self._process.send_signal(signal.SIGINT)
        out, _ = self._process.communicate(timeout=30)
        self._log.seek(0)
        return json.loads(out.splitlines()[-1]), self._log.read()

    def __exit__(self, kind, error, trace):
        self._process.kill()
        self._process.wait()
        self._log.close()


def write(record, path):
    """Write a record as JSON if a path is given."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def finish(goals, record, path):
    """Print one line per goal, write the record, and exit with 3 if a goal was missed, else with 0.

    Args:
        goals: (name, measured, wanted, at_least): `wanted` is a minimum if `at_least`, else a maximum.
        record: everything measured.
        path: file for the record, or None.
    """
    missed = False
    lines = []
    for name, measured, wanted, at_least in goals:
        reached = measured >= wanted if at_least else measured <= wanted
        missed |= not reached
        sign = ">=" if at_least else "<="
        lines.append(f"GOAL {name} {measured:.3g} {sign}{wanted:g} {'reached' if reached else 'missed'}")
    print("\n".join(lines))
    if path:
        command = [Path(sys.argv[0]).name, *sys.argv[1:]]
        write({"command": command, "commit": commit(), "machine": machine(), **record, "goals": lines}, path)
    sys.exit(3 if missed else 0)


def machine():
    """Facts about the machine: processor, cores, memory, GPU and versions."""
    import os

    import torch

    processor, memory = platform.processor(), None
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    flags = next((line.split(":")[1].split() for line in _lines("/proc/cpuinfo") if line.startswith("flags")), [])
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            memory = round(int(line.split()[1]) / 1e6, 1)
    return {
        "processor": processor,
        # The vector and matrix instruction sets that the processor supports.
        "flags": [name for name in flags if name.startswith(("amx", "avx"))],
        "amx": "amx_bf16" in flags,
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "memory_gb": memory,
        "bf16": bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _lines(path):
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def commit():
    """The current commit of this program's repository; None outside of one."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return done.stdout.strip() or None
