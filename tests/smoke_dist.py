"""What an installed wheel without extras must do: `make dist` runs this in a clean environment, without pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

# What a verb needs that the plain wheel lacks, and the extra that brings it.
MISSING = {
    "quickstart": (["train", "--rows", "rows.jsonl", "-o", "model", "--max-steps", "1", "--batch-size", "2"],),
    "search": (["index", "notes", "-o", "index"],),
    "serve": (["serve", "index"],),
}


def isoglot(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of this environment."""
    command = [str(Path(sys.executable).with_name("isoglot")), *words]
    # A cache that holds nothing, as on a new machine.
    environment = {**os.environ, "ISOGLOT_CACHE": str(cwd), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def verbs() -> list[list[str]]:
    """Every verb, those of groups too."""
    from isoglot.cli import app

    found: list[list[str]] = []

    def walk(group: object, words: list[str]) -> None:
        for name in group:  # type: ignore[attr-defined]
            if not name.startswith("-"):
                found.append([*words, name])
                walk(group[name], found[-1])  # type: ignore[index]

    walk(app, [])
    return found


def main() -> int:
    """Run everything, say what failed."""
    failures: list[str] = []

    def expect(words: list[str], code: int, *says: str, cwd: Path) -> str:
        done = isoglot(*words, cwd=cwd)
        both = done.stdout + done.stderr
        if done.returncode != code or "Traceback" in both or any(text not in both for text in says):
            said = f"exit {done.returncode}, wanted {code} and {says}"
            failures.append(f"isoglot {' '.join(words)}: {said}\n{both[-800:]}")
        return done.stdout

    every = verbs()
    with TemporaryDirectory() as scratch:
        home = Path(scratch)
        for words in every:
            expect([*words, "--help"], 0, "Usage", cwd=home)
        (home / "notes").mkdir()
        (home / "notes" / "a.txt").write_text("The museum opens at nine.", encoding="utf-8")
        (home / "index").mkdir()
        rows = [
            {"group": f"g{n}", "lang": lang, "query": f"{lang} question {n}", "passage": f"{lang} answer {n}"}
            for n in range(4)
            for lang in ("de", "en")
        ]
        (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        for extra, commands in MISSING.items():
            for words in commands:
                expect(words, 2, f"isoglot[{extra}]", cwd=home)
        beir = home / "beir"
        (beir / "qrels").mkdir(parents=True)
        write = {"corpus": ["d1", "d2", "d3"], "queries": ["q1"]}
        for name, ids in write.items():
            lines = [json.dumps({"_id": key, "title": "", "text": key, "metadata": {"lang": "en"}}) for key in ids]
            (beir / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\n", encoding="utf-8")
        (home / "run.trec").write_text("q1 Q0 d1 1 3 s\nq1 Q0 d2 2 2 s\nq1 Q0 d3 3 1 s\n", encoding="utf-8")
        words = ["evaluate", "--benchmark", "beir", "--data-dir", "beir", "--run", "run.trec", "-o", "out", "--json"]
        printed = expect([*words, "--resamples", "0"], 0, cwd=home)
        # The one relevant passage stands at rank 2.
        if printed and json.loads(printed)["monolingual"]["map"] != 0.5:
            failures.append(f"mAP of an answer at rank 2: {json.loads(printed)['monolingual']}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(every)} verbs, {len(MISSING)} missing extras and one evaluation: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
