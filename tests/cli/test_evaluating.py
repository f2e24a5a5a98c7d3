import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from isoglot.cli import run
from isoglot.cli.evaluating_values import parse_memory
from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.encoders.weights_files import model_checksum
from isoglot.measuring.comparing import compare, run_folders, stacked
from isoglot.measuring.evaluation import load_evaluation
from isoglot.measuring.scoring import score
from support.rows import write_jsonl

LANGS = ("de", "en", "th")


def evaluated(folder, quality, seed=0, groups=30, trained=None, checksum="same"):
    """Save an evaluation whose vectors carry meaning with the given strength."""
    rng = np.random.default_rng(seed)
    queries = [(f"{lang}:g{g:02}", lang, f"g{g:02}", "?") for lang in LANGS for g in range(groups)]
    passages = [(f"{lang}:p{g:02}", lang, ".") for lang in LANGS for g in range(groups)]
    answers = {f"g{g:02}": [f"{lang}:p{g:02}" for lang in LANGS] for g in range(groups)}
    benchmark = assemble("toy", queries, passages, answers)
    meaning = np.random.default_rng(99).standard_normal((groups, 16))
    q, p = (quality * meaning[np.arange(3 * groups) % groups] + rng.standard_normal((3 * groups, 16)) for _ in "qp")
    folder.mkdir(parents=True)
    score(benchmark, q.astype(np.float32), p.astype(np.float32), name=folder.name, trained=trained).save(folder)
    write_json(folder / "run.json", {"verb": "evaluate", "data": {"benchmark": checksum}})
    return folder


def loaded(specs):
    return [(name, load_evaluation(folder)) for name, folder in run_folders(specs)]


def output(capsys, *argv):
    code = run([str(part) for part in argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_evaluate_a_model_then_its_vectors_then_its_run(tmp_path, tiny_model, rows_file, capsys):
    source = ("--benchmark", "rows", "--rows", rows_file)
    code, out, _ = output(
        capsys, "evaluate", *source, "--model", tiny_model, "-o", tmp_path / "m", "--json", "--resamples", 200,
        "--write-trec", "--trec-depth", 0, "--precision", "fp32", "--write-mteb",
    )  # fmt: skip
    assert code == 0
    record = json.loads(out)
    pooled = read_json(tmp_path / "m" / "mteb" / f"{record['benchmark']}-Pooled.json")
    assert {entry["hf_subset"]: entry["main_score"] for entry in pooled["scores"]["test"]} == {
        lang: own["multilingual"]["map"] for lang, own in record["per_language"].items()
    }
    assert record == read_json(tmp_path / "m" / "metrics.json")
    interval = record["intervals"]["multilingual.map"]["all"]
    assert interval["low"] < record["multilingual"]["map"] < interval["high"]
    run = read_json(tmp_path / "m" / "run.json")
    assert run["settings"]["model"] == str(tiny_model)
    assert run["data"].keys() == {"benchmark", "model"}
    assert {"model": run["data"]["model"]} == model_checksum(str(tiny_model))

    code, out, _ = output(
        capsys, "encode", *source, "--model", tiny_model, "-o", tmp_path / "v", "--numbers", "float32",
        "--shard-size", 20, "--precision", "fp32",
    )  # fmt: skip
    assert (code, out.split()[0]) == (0, str(len(list((tmp_path / "v").glob("shard-*.parquet")))))
    assert pq.read_table(tmp_path / "v" / "shard-000000.parquet").column_names == ["id", "lang", "role", "vector"]
    assert output(capsys, "encode", *source, "--model", tiny_model, "-o", tmp_path / "v")[0] == 2
    code, out, _ = output(
        capsys, "encode", *source, "--model", tiny_model, "-o", tmp_path / "v", "--numbers", "float32",
        "--shard-size", 20, "--precision", "fp32", "--resume",
    )  # fmt: skip
    assert (code, out.split()[0]) == (0, "0")

    code, out, _ = output(
        capsys, "evaluate", *source, "--vectors", tmp_path / "v", "-o", tmp_path / "s", "--json", "--resamples", 0
    )
    assert code == 0
    again = json.loads(out)
    for setting in ("monolingual", "cross_lingual", "multilingual"):
        assert again[setting] == pytest.approx(record[setting], abs=1e-3)
    assert again["intervals"] == {}

    code, out, _ = output(
        capsys, "evaluate", *source, "--run", tmp_path / "m" / "trec" / "multilingual.run", "-o", tmp_path / "r",
        "--json", "--resamples", 0,
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["multilingual"]["map"] == pytest.approx(record["multilingual"]["map"])


def test_what_was_measured_is_not_resumed_with_something_else(tmp_path, tiny_model, rows_file, capsys):
    words = ["evaluate", "--benchmark", "rows", "--rows", rows_file, "--resamples", 0, "-o", tmp_path / "out"]
    words += ["--model", tiny_model]
    assert output(capsys, *words)[0] == 0
    before = (tmp_path / "out" / "metrics.json").read_bytes()
    for other, message in (
        (("--langs", "de,en"), "made with other settings: benchmark's checksum"),
        (("--length", 8), "made with other settings: length (None then, 8 now); give the same, or --overwrite"),
    ):
        code, _, err = output(capsys, *words, *other, "--resume")
        assert (code, message in err) == (2, True), err
    assert output(capsys, *words, "--resume")[0] == 0
    assert (tmp_path / "out" / "metrics.json").read_bytes() == before
    run = read_json(tmp_path / "out" / "run.json")
    write_json(tmp_path / "out" / "run.json", run | {"data": run["data"] | {"model": "0" * 64}})
    code, _, err = output(capsys, *words, "--resume")
    assert (code, "made with other settings: model's checksum (checksum 00000000 then, " in err) == (2, True), err
    write_json(tmp_path / "out" / "run.json", run | {"data": {"benchmark": run["data"]["benchmark"]}})
    assert output(capsys, *words, "--resume")[0] == 0
    write_json(tmp_path / "out" / "run.json", {"verb": "train"})
    code, _, err = output(capsys, *words, "--resume")
    assert (code, "holds what `isoglot train` made; give another --output-dir" in err) == (2, True)


def test_gates_are_held_after_writing(tmp_path, tiny_model, rows_file, capsys):
    source = ("--benchmark", "rows", "--rows", rows_file, "--model", tiny_model, "--resamples", 0)
    code, _, err = output(
        capsys, "evaluate", *source, "-o", tmp_path / "a", "--require", "multilingual.map>=0.999",
        "--require", "pairs.de>en.map >= 0", "--require", "multilingual.rank_distance<=0.5",
    )  # fmt: skip
    assert code == 3
    assert "multilingual.map is" in err
    assert "wanted <= 0.5" in err
    assert "pairs.de>en" not in err
    assert (tmp_path / "a" / "metrics.json").is_file()
    assert output(capsys, "evaluate", *source, "-o", tmp_path / "b", "--require", "monolingual.map>=0")[0] == 0
    code, _, err = output(capsys, "evaluate", *source, "-o", tmp_path / "c", "--require", "monolingual.mapp>=0")
    assert code == 2
    assert "no 'mapp' in metrics.json; there is: map" in err
    code, _, err = output(capsys, "evaluate", *source, "-o", tmp_path / "d", "--require", "map over 0.5")
    assert code == 2
    assert "expected PLACE>=NUMBER" in err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--vectors", "v", "--run", "r"), "give one of them"),
        (("--model", "embedded", "--run", "r"), "a run needs no model"),
        (("--memory", "lots"), "--memory 'lots'"),
        (("--resamples", "1"), "--resamples must be 0"),
        (("--length", "0"), "--length"),
        (("--benchmark", "beir"), "name its folder with --data-dir"),
        (("--benchmark", "miracl", "--offline"), "name its folder as --data-dir"),
        (("--offline",), "name the folder of xquad-r as --data-dir"),
        (("--benchmark", "beir", "--context"), "--context belongs"),
        (("--benchmark", "rows"), "name the files with --rows"),
        (("--rows", "x.jsonl"), "--rows: give --benchmark rows"),
        (("--vectors", "nowhere"), "no such file or folder"),
    ],
)
def test_bad_usage_of_evaluate(tmp_path, capsys, monkeypatch, rows_file, flags, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    if flags == ("--vectors", "nowhere"):
        flags = ("--benchmark", "rows", "--rows", str(rows_file), *flags)
    code, _, err = output(capsys, "evaluate", "-o", tmp_path / "o", *flags)
    assert code == 2
    assert message in err


def test_ids_that_no_run_can_name_are_refused_before_anything_is_encoded(tmp_path, tiny_model, capsys, monkeypatch):
    rows = [{"group": "a b", "lang": lang, "query": f"{lang}?", "passage": f"{lang}."} for lang in ("de", "en")]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    words = ["evaluate", "--benchmark", "rows", "--rows", tmp_path / "rows.jsonl", "--model", tiny_model]
    words += ["--write-trec", "-o", tmp_path / "out"]
    monkeypatch.setattr("isoglot.cli.encoders.open_encoder", lambda *args: pytest.fail("a model is opened"))
    code, _, err = output(capsys, *words)
    assert code == 2
    assert "id 'de:a b:q' holds white space, which separates the columns of TREC files; rename it" in err
    assert not (tmp_path / "out").exists()


def test_encode_wants_a_model_here(tmp_path, capsys):
    code, _, err = output(capsys, "encode", "-o", tmp_path / "o", "--model", "endpoint:http://localhost/v1#m")
    assert code == 2
    assert "isoglot evaluate takes endpoints" in err


def test_miracl_from_a_model_in_one_go(tmp_path, tiny_model, capsys):
    from support.miracl import original

    source = ("--benchmark", "miracl", "--data-dir", original(tmp_path / "m"), "--model", tiny_model)
    code, out, _ = output(
        capsys, "evaluate", *source, "-o", tmp_path / "o", "--json", "--resamples", 50, "--memory", "1MB",
        "--depth", 100,
    )  # fmt: skip
    assert code == 0
    full = json.loads(out)
    assert full["depth"] == 100
    assert {"ndcg@10", "recall@100"} <= full["monolingual"].keys()
    assert full["cross_lingual"]["map"] is None
    code, out, _ = output(
        capsys, "evaluate", *source, "--subset", "hard-negatives", "-o", tmp_path / "h", "--json", "--resamples", 0
    )
    assert code == 0
    assert json.loads(out)["per_language"]["th"]["candidates"] == 19
    code, _, err = output(capsys, "evaluate", *source, "-o", tmp_path / "w", "--write-trec")
    assert code == 2
    assert "hard-negatives" in err


def test_compare_in_words_and_numbers(tmp_path, capsys):
    base, better = evaluated(tmp_path / "base", 0.4), evaluated(tmp_path / "better", 1.5, 1, trained=("de", "en"))
    code, out, _ = output(capsys, "compare", base, better, "-o", tmp_path / "c", "--resamples", 500)
    assert code == 0
    assert "# better against base on toy" in out
    assert "**multilingual map** is significantly better" in out
    assert "no significant loss in 3 of 3 languages; gains: German" in out
    assert "**multilingual rank_distance** is significantly better" in out
    assert "would be found with probability .8" in out
    assert "| unseen |" in out
    assert "| script Latin |" in out
    assert (tmp_path / "c" / "comparison.md").read_text() == out
    record = read_json(tmp_path / "c" / "comparison.json")
    one = next(c for c in record["comparisons"] if (c["measure"], c["slice"]) == ("multilingual.map", "all"))
    runs = {entry["run"]: entry["metrics"] for entry in record["runs"]}
    assert one["difference"] == pytest.approx(
        runs["better"]["multilingual"]["map"] - runs["base"]["multilingual"]["map"]
    )
    assert one["low"] < one["difference"] < one["high"]
    assert {"a", "b", "measure", "slice", "difference", "low", "high", "p", "groups", "significant"} == one.keys()
    code, out, _ = output(
        capsys, "compare", base, better, "--json", "--measures", "multilingual.ndcg@10", "--resamples", 50
    )
    assert code == 0
    assert {entry["measure"] for entry in json.loads(out)["comparisons"]} == {"multilingual.ndcg@10"}


def test_runs_with_other_lowest_relevant_grades_are_not_compared(tmp_path, capsys):
    one, two, three = (evaluated(tmp_path / name, 1.0) for name in ("one", "two", "three"))
    for folder, grade in ((one, 1), (two, 2.0)):
        record = read_json(folder / "run.json")
        write_json(folder / "run.json", {**record, "settings": {"relevant_from": grade}})
    code, _, err = output(capsys, "compare", one, two)
    assert code == 2
    assert "the lowest relevant grade is 1 and 2" in err
    assert output(capsys, "compare", one, three, "--resamples", 50)[0] == 0  # a study's runs record none: it is 1


def test_a_comparison_gives_the_notes_of_every_run(tmp_path, capsys):
    """A run of limited depth gives lower bounds, whichever place it has among the runs."""
    base, other = evaluated(tmp_path / "base", 0.4), evaluated(tmp_path / "other", 1.5, 1)
    record = read_json(other / "metrics.json")
    both, own = "a note on the benchmark", "scored from a run of 10 passages per query: lower bounds"
    write_json(base / "metrics.json", {**read_json(base / "metrics.json"), "notes": [both]})
    write_json(other / "metrics.json", {**record, "notes": [both, own]})
    code, out, _ = output(capsys, "compare", base, other, "-o", tmp_path / "c", "--report", "--resamples", 50)
    assert code == 0
    for text in (out, (tmp_path / "c" / "report" / "report.md").read_text()):
        assert f"\n\n{both}\n\nother: {own}\n" in text


def test_runs_of_one_name_are_seeds(tmp_path, capsys):
    one, two, base = (evaluated(tmp_path / name, q, s) for name, q, s in (("x/e", 1, 1), ("y/e", 1, 2), ("b", 0.5, 3)))
    stacks = stacked(loaded([f"base={base}", f"tuned={one}", f"tuned={two}"]))
    assert [(stack.regime, len(stack.matrices["multilingual", "map"])) for stack in stacks] == [
        ("base", 1),
        ("tuned", 2),
    ]
    assert [name for name, _ in run_folders([str(one), str(two)])] == ["x/e", "y/e"]
    code, out, _ = output(capsys, "compare", f"base={base}", f"tuned={one}", f"tuned={two}", "--resamples", 50)
    assert code == 0
    assert "the variance between seeds is added, but base: one run)" in out
    assert output(capsys, "compare", f"t={one}", f"t={two}")[0] == 2


def test_a_study_folder_brings_its_runs(tmp_path):
    evaluated(tmp_path / "runs" / "hybrid-0.5-seed0", 1.0)
    evaluated(tmp_path / "runs" / "hybrid-0.5-seed1", 1.0, 5)
    evaluated(tmp_path / "runs" / "base", 0.5, 6)
    write_json(tmp_path / "study.json", {})
    assert [name for name, _ in run_folders([str(tmp_path)])] == ["base", "hybrid-0.5", "hybrid-0.5"]


def test_only_a_name_makes_seeds_of_two_folders(tmp_path):
    """Regimes of two studies, and a run that is called like one of them, are other runs."""
    for home in ("first", "second", "x/second"):
        evaluated(tmp_path / home / "runs" / "base", 0.5)
        evaluated(tmp_path / home / "runs" / "hybrid-0.5-seed0", 1.0)
        evaluated(tmp_path / home / "runs" / "hybrid-0.5-seed1", 1.0)
        write_json(tmp_path / home / "study.json", {})
    evaluated(tmp_path / "base", 0.5)
    places = [str(tmp_path / name) for name in ("first", "second", "base")]
    names = [name for name, _ in run_folders(places)]
    assert names[:3] == ["first base", "first hybrid-0.5", "first hybrid-0.5"]
    assert names[3:6] == ["second base", "second hybrid-0.5", "second hybrid-0.5"]
    assert names[6] == f"{tmp_path.name}/base"
    names = {name for name, _ in run_folders([places[1], str(tmp_path / "x" / "second")])}
    assert {"x/second base", f"{tmp_path.name}/second base"} <= names
    assert len({name for name, _ in run_folders([f"all={places[0]}", f"all={places[1]}"])}) == 2


def test_a_folder_may_have_an_equals_sign_in_its_name(tmp_path):
    one, two = (evaluated(tmp_path / name, 0.5) for name in ("lr=1e-5", "lr=3e-5"))
    assert [name for name, _ in run_folders([str(one), f"high={two}"])] == ["lr=1e-5", "high"]


def test_what_cannot_be_compared_is_refused(tmp_path, capsys):
    base = evaluated(tmp_path / "base", 0.4)
    other = evaluated(tmp_path / "other", 0.4, checksum="another")
    fewer = evaluated(tmp_path / "fewer", 0.4, groups=20)
    for argv, message in (
        ((base,), "name two or more"),
        ((base, tmp_path / "nowhere"), "neither metrics.json nor study.json"),
        ((base, other), "different texts or judgements"),
        ((base, fewer), "toy de,en,th (20 question groups), but base on toy de,en,th (30 question groups)"),
        ((base, f"={base}"), "no name before the equals sign"),
        ((base, f"x={base}", "--measures", "multilingual.mapp"), "no multilingual.mapp in these runs"),
        ((base, f"x={base}", "--resamples", 1), "at least 2"),
    ):
        code, _, err = output(capsys, "compare", *argv)
        assert code == 2
        assert message in err


def test_holm_is_over_the_languages_of_one_comparison(tmp_path):
    runs = loaded([str(evaluated(tmp_path / "a", 0.6)), str(evaluated(tmp_path / "b", 0.7, 1))])
    found = compare(stacked(runs), resamples=400, measures=(("monolingual", "map"),))
    by_slice = {entry.slice: entry for entry in found}
    assert set(LANGS) | {"all", "family:Indo-European", "script:Latin"} == by_slice.keys()
    # a language alone has the p of its own bootstrap at most three times, and never less than it
    from isoglot.measuring.bootstrap import paired_difference

    own = [evaluation.values["monolingual", "map"] for _, evaluation in runs]
    x, y = (values.matrix[:, values.numbers({"th"})] for values in own)
    raw = paired_difference(y, x, resamples=4000).p
    assert raw - 0.1 <= by_slice["th"].p <= 3 * raw + 0.1


def test_sizes_of_memory():
    assert parse_memory("1.5GiB") == 3 * 2**29
    assert parse_memory("500 MB") == 500_000_000
    for bad in ("", "2XB", "10", "-1GB"):
        with pytest.raises(InputError, match="--memory"):
            parse_memory(bad)
