"""Fuzz a real server with requests that its OpenAPI document allows or forbids, and check responses against it.

    python performance/fuzz_api.py                      # a minute
    python performance/fuzz_api.py --quick              # one round of ten requests of each operation
    python performance/fuzz_api.py --seconds 600 --seed 7 --json results/fuzz-api.json

schemathesis generates requests from the server's own `/openapi.json`, each round with another seed, and checks every
response: no 500, only documented statuses, bodies and types, valid requests accepted and invalid ones rejected. Stops
at the first fault, prints the smallest request that reproduces it, and exits with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from traceback import format_exception

import schemathesis
from harness import Served, rss_mb, write
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

# Invalid filters have tests of their own; here all filters are valid for the index.
schemathesis.openapi.format(
    "isoglot-filter",
    st.sampled_from(
        ["lang = 'de'", "title IS NULL", "NOT (source LIKE 'https%' OR title = 'x')", "id IN ('d1', 'd2')"]
    ),
)


def main() -> int:
    """Send requests for --seconds and print the record; return 1 after a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, ten requests of each operation")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=50, help="of each operation in a round")
    parser.add_argument("--json", type=Path, help="write the record here")
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.examples = 1, 10
    statuses: Counter[str] = Counter()
    fault, rounds = "", 0
    with Served("--passages", "500", "--all-routes") as server:
        address = f"http://127.0.0.1:{server.port}/openapi.json"
        schema = schemathesis.openapi.from_url(address, wait_for_schema=60)
        schema.hook("filter_case")(can_be)
        operations = [result.ok() for result in schema.get_all_operations()]
        until, held = time.monotonic() + args.seconds, None
        while time.monotonic() < until and not fault:
            for operation in operations:
                for mode in GenerationMode:
                    fault = fault or round_of(operation, mode, args.seed + rounds, args.examples, statuses)
            rounds += 1
            held = held or rss_mb(server.pid)
        grown = (rss_mb(server.pid) or 0) - (held or 0)
        _, said = server.end()
        fault = fault or (said[said.index("Traceback") :][:4000] if "Traceback" in said else "")
    record = {
        "command": " ".join(["python", *sys.argv]),
        "operations": [operation.label for operation in operations],
        "rounds": rounds,
        "answers": dict(sorted(statuses.items())),
        "requests": statuses.total(),
        "memory_growth_mb": round(grown, 1),
        "fault": fault or None,
    }
    write(record, args.json)
    print(json.dumps(record, indent=1))
    return 1 if fault else 0


def can_be(context, case) -> bool:
    """Whether a request is possible: OpenAPI cannot express that lexical mode and feedback exclude each other."""
    return case.query.get("mode") != "lexical" or case.query.get("feedback") not in (True, "true")


def round_of(operation, mode, number: int, examples: int, statuses: Counter[str]) -> str:
    """Send valid or invalid requests (by `mode`) of one operation; return a description of the fault, or ""."""

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        answer = case.call(timeout=120)
        statuses[f"{operation.label} {answer.status_code}"] += 1
        # A URL or body that is too long is rejected as such before anything else is checked.
        taken = [negative_data_rejection] if answer.status_code in (413, 414) else []
        case.validate_response(answer, excluded_checks=taken)

    try:
        check()
    except Unsatisfiable:
        return ""  # a request without parameters cannot be invalid
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - it is the fault that was looked for
        return f"seed {number}, {operation.label}, {mode}: {''.join(format_exception(error))[-4000:]}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
