"""Two processes encoding at once on the same cores, against one after the other.

    python performance/processes.py
    python performance/processes.py --quick     # 100 texts, once
    python performance/processes.py --pin 0     # all threads on one core, though OpenMP sees more: the worst case

Each process encodes the same texts, like `isoglot encode`. With `asleep` idle threads sleep, as isoglot's command sets
it; with `spinning` they spin, OpenMP's default. Both wall time and the CPU time of both processes are reported; the
latter depends less on other load.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from harness import finish, parser, thinned

LENGTH = 192
CLOCKS = ("seconds", "processor_seconds")
WAYS = ("asleep", "spinning")


def child(task):
    """Open a model and print "ready", then encode at every line of stdin and print the CPU seconds."""
    if task["way"] == "asleep":
        from isoglot.core.passive_waiting import wait_asleep

        wait_asleep()
    import torch

    from isoglot.encoders.encoding import ModelEmbedder
    from isoglot.encoders.loading import load, quiet_libraries

    if task["pin"] is not None:
        os.sched_setaffinity(0, {task["pin"]})
    torch.set_num_threads(task["threads"])
    quiet_libraries()
    texts = thinned(task["data_dir"], task["texts"]).candidates.texts
    embed = ModelEmbedder(load(task["model"], device="cpu"), length=LENGTH)
    embed(texts, "passage")
    print("ready", flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        embed(texts, "passage")
        print(time.process_time() - before, flush=True)


class Worker:
    def __init__(self, task):
        own = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
        environment = {name: value for name, value in os.environ.items() if name not in own}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child", json.dumps(task)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.wait()

    def go(self):
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit("a process ended before its time")
        return line

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def seconds(workers, at_once):
    started, processor = time.perf_counter(), 0.0
    if at_once:
        for worker in workers:
            worker.go()
    for worker in workers:
        if not at_once:
            worker.go()
        processor += float(worker.wait())
    return {"seconds": time.perf_counter() - started, "processor_seconds": processor}


def main():
    made = parser(__doc__)
    made.add_argument("--data-dir", default="../shared/data/xquad-r", help="XQuAD-R files")
    made.add_argument("--model", default="embedded")
    made.add_argument("--texts", type=int, default=300, help="about how many each process encodes")
    made.add_argument("--threads", type=int, default=2, help="of each process")
    made.add_argument("--pin", type=int, help="core on which all threads run")
    args = made.parse_args()
    if args.child:
        child(json.loads(args.child))
        return
    task = {"data_dir": args.data_dir, "model": args.model, "threads": args.threads, "pin": args.pin}
    task["texts"] = 100 if args.quick else args.texts
    workers = {way: [Worker({**task, "way": way}) for _ in range(2)] for way in WAYS}
    measured = {way: {"in_turn": [], "at_once": []} for way in WAYS}
    for number in range(1 if args.quick else args.repeats):
        for way in WAYS:
            for at_once in (False, True):
                found = seconds(workers[way], at_once)
                measured[way]["at_once" if at_once else "in_turn"].append(found)
                print(f"[{number + 1}] {way} {'at once' if at_once else 'in turn'}: {found}", file=sys.stderr)
    for way in WAYS:
        for worker in workers[way]:
            worker.close()
    ratios = {way: {key: ratio(times, key) for key in CLOCKS} for way, times in measured.items()}
    for way, found in ratios.items():
        print(f"{way}, at once over one after the other: " + ", ".join(f"{key} {found[key]:.2f}" for key in CLOCKS))
    spent = {way: statistics.median(both["processor_seconds"] for both in measured[way]["at_once"]) for way in WAYS}
    print("processor seconds at once: " + ", ".join(f"{way} {found:.2f}" for way, found in spent.items()))
    record = {"threads": args.threads, "pin": args.pin, "ratios": ratios, "measured": measured}
    goals = [(f"processes-at-once-{key.replace('_', '-')}", ratios["asleep"][key], 1.2, False) for key in CLOCKS]
    finish(goals, record, args.json)


def ratio(times, key):
    """Median over rounds of the ratio of running at once to running in turn."""
    return statistics.median(b[key] / a[key] for a, b in zip(times["in_turn"], times["at_once"], strict=True))


if __name__ == "__main__":
    main()
