"""What the benchmark programs share: child processes, interleaving, goals, the machine's description."""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def parser(description):
    """Arguments every program takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a smoke figure in under 50 s")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the full record")
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--child", help=argparse.SUPPRESS)
    return made


def in_child(program, task, timeout=3600):
    """Run one task of a program in its own process; the last line it prints is its result, as JSON."""
    done = subprocess.run(
        [sys.executable, program, "--child", json.dumps(task)], capture_output=True, text=True, timeout=timeout
    )
    if done.returncode:
        sys.exit(f"{task}: failed\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def interleaved(program, tasks, repeats):
    """Every task once, then every task again, and so on: (name, results) of each, in the given order."""
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
    """Some question groups with their answers and as many further candidates, in all languages present."""
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


def median(results, key):
    """Median of one entry over repeats."""
    return statistics.median(result[key] for result in results)


def rss():
    """Resident bytes of this process now."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()


def private():
    """Bytes that belong to this process alone (mapped files do not)."""
    with open("/proc/self/smaps_rollup") as stream:
        return sum(int(line.split()[1]) * 1024 for line in stream if line.startswith("Private_Dirty"))


def peak():
    """Largest resident bytes of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def finish(goals, record, path):
    """Print one line a goal, write the record, and exit with 3 where a goal was missed.

    Args:
        goals: (name, measured, wanted, whether at least (True) or at most (False)).
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
        record = {"command": command, "commit": _commit(), "machine": machine(), **record}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**record, "goals": lines}, indent=1) + "\n")
    sys.exit(3 if missed else 0)


def machine():
    """Processor, cores, memory and versions."""
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
        # Of the instructions for matrices and wide vectors, those that there are.
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


def _commit():
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return done.stdout.strip() or None
