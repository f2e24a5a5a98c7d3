"""`evaluate --report` and `compare --report`: the report of a study for runs that were measured one by one."""

import json
import re

import pytest

from isoglot.cli import run

LANGS = ("de", "en")


@pytest.fixture
def folder(tmp_path):
    """A BEIR folder: six questions in two languages, answered in both."""
    home = tmp_path / "beir"
    (home / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"{lang}{n}", "text": f"Passage {n} in {lang}", "metadata": {"lang": lang}}
        for lang in LANGS
        for n in range(9)
    ]
    queries = [
        {"_id": f"{lang}-q{n}", "text": f"Question {n}?", "metadata": {"lang": lang, "group": f"g{n}"}}
        for lang in LANGS
        for n in range(6)
    ]
    (home / "corpus.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in corpus))
    (home / "queries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in queries))
    lines = [f"{x}-q{n}\t{y}{n}\t{1 + n % 2}" for x in LANGS for y in LANGS for n in range(6)]
    (home / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")
    return home


def write_run(path, shift, pool=LANGS):
    """Each question finds passages from `shift` below its own on; the languages of `pool` in turn."""
    lines = []
    for lang in LANGS:
        for n in range(6):
            found = [f"{y}{(n - shift + step) % 9}" for step in range(9) for y in (pool if pool else (lang,))]
            lines += [f"{lang}-q{n} Q0 {key} 1 {100 - place} x" for place, key in enumerate(found)]
    path.write_text("\n".join(lines) + "\n")
    return path


def evaluated(tmp_path, folder, name, shift, *flags, pool=LANGS):
    path = write_run(tmp_path / f"{name}.run", shift, pool)
    out = tmp_path / name
    source = ["--benchmark", "beir", "--data-dir", str(folder), "--run", str(path)]
    assert run(["evaluate", *source, "-o", str(out), "--resamples", "50", *flags]) == 0
    return out


def test_one_evaluation_is_reported(tmp_path, folder, capsys):
    out = evaluated(tmp_path, folder, "first", 1, "--report")
    assert (out / "top10.parquet").is_file()
    assert {path.name for path in (out / "report").iterdir()} == {
        "report.html", "report.md", "report.csv", "report.tex", "figures",
    }  # fmt: skip
    page = (out / "report" / "report.html").read_text()
    assert "<title>first on beir</title>" in page
    for part in ("Languages in the top 10", "Pooled retrieval by query language", "Each language alone"):
        assert part in page
    for part in ("untouched model", "Change against", "Trained on", "nan"):
        assert part not in re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    # found second of nine: the monolingual average precision is 1/2 everywhere
    assert "0.500 [0.500, 0.500]" in (out / "report" / "report.md").read_text()
    assert run(["evaluate", "--report", "--resamples", "0", "-o", str(tmp_path / "x")]) == 2
    assert "--report shows intervals" in capsys.readouterr().err


def test_runs_that_are_compared_are_reported(tmp_path, folder, capsys):
    worse, better = (evaluated(tmp_path, folder, name, shift) for name, shift in (("worse", 3), ("better", 0)))
    out = tmp_path / "compared"
    assert run(["compare", str(worse), str(better), "-o", str(out), "--report", "--resamples", "50"]) == 0
    page = (out / "report" / "report.html").read_text()
    assert "<title>better against worse on beir</title>" in page
    assert "Change against worse" in page
    assert "untouched model" not in page
    assert not (out / "report" / "study.json").exists()
    assert "| worse | 0.250 " in (out / "report" / "report.md").read_text()
    capsys.readouterr()
    assert run(["compare", str(worse), str(better), "--report"]) == 2
    assert "--output-dir" in capsys.readouterr().err
    assert run(["compare", str(worse), str(better), "--benchmark", "beir", "--data-dir", str(folder)]) == 2
    assert "give --report with it" in capsys.readouterr().err


def compared(tmp_path, *flags):
    folders = [str(tmp_path / name) for name in ("worse", "better")]
    out = tmp_path / "compared"
    assert run(["compare", *folders, "-o", str(out), "--report", "--resamples", "50", "--overwrite", *flags]) == 0
    return (out / "report" / "report.html").read_text()


def test_the_top_10_of_runs_that_are_compared(tmp_path, folder, capsys):
    for name, shift in (("worse", 3), ("better", 0)):
        evaluated(tmp_path, folder, name, shift)
    page = compared(tmp_path)
    assert "Languages in the top 10" in page
    # Pools of both languages in turn: five of ten in each.
    assert page.count(">50<") >= 2 * 2 * 2
    assert "Where they differ most" in page
    assert "Question 0?" in page
    # In the better run the first two hits are the answers; in the worse one they follow six others.
    assert "Passage 0 in de" in page
    assert "Question 0?" not in compared(tmp_path, "--no-examples")
    assert capsys.readouterr().err == ""


def test_a_benchmark_that_is_gone_costs_the_report_its_top_10_alone(tmp_path, folder, capsys):
    for name, shift in (("worse", 3), ("better", 0)):
        evaluated(tmp_path, folder, name, shift)
    moved = folder.rename(tmp_path / "moved")
    page = compared(tmp_path)
    assert "Languages in the top 10" not in page
    assert "Change against worse" in page
    assert "the report has no top 10" in capsys.readouterr().err
    # Where it lies now, by hand.
    assert "Languages in the top 10" in compared(tmp_path, "--benchmark", "beir", "--data-dir", str(moved))
    # And what is not that benchmark any more.
    (moved / "queries.jsonl").write_text((moved / "queries.jsonl").read_text().replace("Question 5?", "Else?"))
    flags = ["-o", str(tmp_path / "none"), "--report", "--benchmark", "beir", "--data-dir", str(moved)]
    assert run(["compare", str(tmp_path / "worse"), str(tmp_path / "better"), *flags]) == 2
    assert "other texts or judgements" in capsys.readouterr().err


def test_runs_of_each_language_alone_are_reported(tmp_path, folder):
    out = evaluated(tmp_path, folder, "alone", 0, "--report", "--run-pool", "own", pool=())
    page = (out / "report" / "report.html").read_text()
    assert "alone on beir" in page
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.S)


def test_json_holds_no_nan(tmp_path, folder, capsys):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    for name in ("a", "b"):
        evaluated(tmp_path, folder, name, 1, "--langs", "de", "--json", "--report", pool=("de",))
        # one language: no pair of languages has a figure
        record = json.loads(capsys.readouterr().out, parse_constant=refuse)
        assert record["cross_lingual"]["map"] is None
        json.loads((tmp_path / name / "metrics.json").read_text(), parse_constant=refuse)
    assert run(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json", "--resamples", "20"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=refuse)
