import gzip
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest

import isoglot
from isoglot.cli import main, run
from isoglot.cli.benchmarks import Source
from isoglot.cli.termination import sigterm_ends, sigterm_interrupts
from isoglot.data import prepared
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings
from support.rows import parallel_rows, write_jsonl

QUICK = ["--batch-size", "4", "--max-steps", "2", "--warmup-steps", "0", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def call(capsys):
    """Run a command in this process: exit code, stdout, stderr (without line breaks of boxes)."""

    def do(*argv):
        code = run([str(part) for part in argv])
        out, err = capsys.readouterr()
        return code, out, err

    return do


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom isoglot.cli import run\n"
        "for words in (['--help'], ['train', '--help'], ['study', '--help'], ['data', '--help'], ['--version']):\n"
        "    assert run(words) == 0\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'matplotlib', 'sentence_transformers', 'numpy', 'scipy'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(isoglot.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("evaluate", "quickstart", "--language-exponent", "--regimes", "from-lareqa", isoglot.__version__):
        assert words in done.stdout


@pytest.mark.parametrize("mode", ["lexical", "dense"])
def test_a_search_needs_no_training_stack(call, tmp_path, tiny_model, mode):
    (tmp_path / "docs.jsonl").write_text('{"id": "a", "text": "Ararat is 5137 metres high.", "lang": "en"}\n')
    assert call("index", tmp_path / "docs.jsonl", "-o", tmp_path / "index", "--model", tiny_model)[0] == 0
    program = (
        "import sys\nfrom isoglot.cli import run\n"
        f"assert run(['search', sys.argv[1], 'ararat', '--mode', '{mode}', '--device', 'cpu']) == 0\n"
        "heavy = {'transformers', 'sentence_transformers', 'datasets', 'accelerate', 'matplotlib', 'sklearn'}\n"
        f"heavy |= {{'torch', 'tokenizers'}} if '{mode}' == 'lexical' else set()\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(isoglot.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "index")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Ararat is 5137 metres high." in done.stdout


def test_public_names_exist_and_import_late():
    for name in isoglot.__all__:
        assert getattr(isoglot, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = isoglot.nonsense


def test_from_lareqa(call, lareqa_folder, tmp_path):
    target = tmp_path / "rows.jsonl.gz"
    code, out, _ = call("data", "from-lareqa", lareqa_folder, "-o", target, "--langs", "de,zh")
    assert (code, out) == (0, f"23 rows in {target}\n")
    with gzip.open(target, "rt", encoding="utf-8") as stream:
        assert json.loads(next(stream))["dataset"] == "mini"
    code, _, err = call("data", "from-lareqa", lareqa_folder, "-o", target)
    assert code == 2
    assert f"{target}: exists; give --overwrite" in err
    assert call("data", "from-lareqa", lareqa_folder, "-o", target, "--overwrite", "--dataset", "own")[0] == 0


def test_prepare_and_show(call, rows_file, tmp_path):
    folder = tmp_path / "prepared"
    code, out, err = call("data", "prepare", rows_file, "-o", folder, "--quiet")
    assert (code, err) == (0, "")
    assert out == f"137 rows, 40 groups, 5 languages in {folder}\n"
    for source in (rows_file, folder):
        code, out, _ = call("data", "show", source)
        assert code == 0
        assert "137 rows, 40 groups in 39 components (2 groups share a passage or question), 5 languages" in out
    facts = json.loads(call("data", "show", rows_file, "--json", "--langs", "de,zh")[1])
    assert list(facts["languages"]) == ["de", "zh"]


def test_evaluate(call, tiny_model, lareqa_folder, tmp_path):
    folder = tmp_path / "out"
    words = ["evaluate", "--model", tiny_model, "--benchmark", "rows", "--langs", "de,en", "-o", folder]
    rows = tmp_path / "rows.jsonl"
    call("data", "from-lareqa", lareqa_folder, "-o", rows)
    code, out, _ = call(*words, "--rows", rows)
    assert code == 0
    assert "monolingual" in out
    assert f"written to {folder}" in out
    record = json.loads((folder / "metrics.json").read_text())
    assert record["languages"] == ["de", "en"]
    assert json.loads((folder / "run.json").read_text())["settings"]["langs"] == "de,en"
    code, _, err = call(*words, "--rows", rows)
    assert code == 2
    assert f"{folder}: not empty; give --overwrite" in err
    code, out, _ = call(*words, "--rows", rows, "--overwrite", "--json")
    assert code == 0
    code, _, err = call("compare", f"a={folder}", f"b={folder}", "-o", folder, "--overwrite")
    assert (code, f"{folder}: lies in {folder}, which --overwrite replaces" in err) == (2, True)
    code, _, err = call("encode", "--model", tiny_model, *words[3:-2], "--rows", rows, "-o", tiny_model, "--overwrite")
    assert (code, f"{tiny_model}: lies in {tiny_model}, which --overwrite replaces" in err) == (2, True)
    assert (folder / "metrics.json").is_file()
    assert json.loads(out)["monolingual"] == record["monolingual"]


def test_evaluate_on_a_folder_of_files(call, tiny_model, shared_data, tmp_path, monkeypatch):
    module = importlib.import_module("isoglot.measuring.benchmark_vectors")
    seen = []
    monkeypatch.setattr(module, "encode_sides", lambda model, data, in_context: seen.append(data) or sys.exit(7))
    with pytest.raises(SystemExit):
        call(
            "evaluate", "--model", tiny_model, "--data-dir", shared_data / "xquad-r", "--langs", "hi,vi", "-o", tmp_path
        )
    assert (seen[0].name, seen[0].languages, len(seen[0].queries)) == ("xquad-r", ("hi", "vi"), 2380)


def test_train_and_a_recipe(call, rows_file, tiny_model, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'rows = ["{rows_file}"]\nmodel = "{tiny_model}"\nregime = "x-y"\nlr = 1e-3\nmax_steps = 2\nbatch_size = 4\n'
        'warmup_steps = 0\ndevice = "cpu"\nprecision = "fp32"\nlangs = "de,en,zh"\n'
    )
    folder = tmp_path / "model"
    code, out, _ = call("train", "--config", recipe, "-o", folder, "--lr", "2e-3", "--xy", "per-example")
    assert (code, out) == (0, f"model in {folder}\n")
    settings = json.loads((folder / "run.json").read_text())["settings"]
    assert (settings["regime"], settings["batch_size"], settings["max_steps"]) == ("x-y", 4, 2)
    # Flags win over the recipe.
    assert (settings["lr"], settings["xy"]) == (2e-3, "per-example")
    assert json.loads((folder / "run.json").read_text())["languages"] == ["de", "en", "zh"]


def test_a_study_recipe_is_its_first_argument(call, tiny_model, tmp_path):
    train = write_jsonl(tmp_path / "train.jsonl", parallel_rows(8))
    test = write_jsonl(tmp_path / "test.jsonl", parallel_rows(6, dataset="hills", first=300))
    recipe = tmp_path / "study.toml"
    recipe.write_text(
        f'rows = ["{train}"]\nbenchmark = "rows"\nbenchmark_rows = ["{test}"]\nmodel = "{tiny_model}"\n'
        'regimes = ["x-x-mono", "x-y"]\nseeds = [3]\nmax_steps = 500\nresamples = 50\nxy = "per-example"\n'
    )
    folder = tmp_path / "out"
    code, out, _ = call("study", recipe, "-o", folder, *QUICK, "--regimes", "x-y", "--discard-models")
    assert code == 0
    assert f"written to {folder}" in out
    record = json.loads((folder / "study.json").read_text())
    assert [(one["regime"], one["seed"]) for one in record["runs"]] == [("base", None), ("x-y", 3)]
    settings = json.loads((folder / "run.json").read_text())["settings"]
    assert (settings["max_steps"], settings["xy"], settings["keep_models"]) == (2, "per-example", False)
    code, out, err = call("study", recipe, "-o", folder, *QUICK, "--regimes", "x-y", "--discard-models", "--json")
    assert code == 0
    assert json.loads(out) == record
    assert err.count("done before") == 2


@pytest.fixture(scope="module")
def bad(tmp_path_factory, lareqa_folder):
    """A folder with inputs that are wrong in various ways."""
    home = tmp_path_factory.mktemp("bad")
    (home / "broken.jsonl").write_text('{"group": "a"}\n')
    (home / "broken.toml").write_text("lr = \n")
    (home / "unknown.toml").write_text("learning_rate = 1\n")
    (home / "wrong.toml").write_text('lr = "fast"\n')
    (home / "file").write_text("")
    (home / "full").mkdir()
    (home / "full" / "notes").write_text("")
    (home / "lareqa").mkdir()
    (home / "lareqa" / "de.json").write_text('{"data": [')
    write_jsonl(home / "rows.jsonl", parallel_rows(8))
    return home


ROWS = ["--rows", "{bad}/rows.jsonl", "-o", "{bad}/new"]
STUDY = ["study", *ROWS, "--model", "{tiny}", "--benchmark", "rows", "--benchmark-rows", "{rows}"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nonsense"], ["nonsense"]),
        (["train", "--nonsense", "1", *ROWS], ["--nonsense"]),
        (["data", "show"], ["no rows given"]),
        (["data", "show", "{bad}/no.jsonl"], ["{bad}/no.jsonl: no such file"]),
        (["data", "show", "{bad}/broken.jsonl"], ["{bad}/broken.jsonl:1: field 'lang' is missing"]),
        (["data", "audit", "{bad}/rows.jsonl", "--benchmark", "rows"], ["name the files with --benchmark-rows"]),
        (["data", "show", "{bad}/full"], ["{bad}/full: not a prepared folder"]),
        (["data", "show", "{bad}/rows.jsonl", "--langs", "xx"], ["--langs: no rows in xx; there are: de, en, hi, zh"]),
        (["data", "prepare", "{bad}/rows.jsonl"], ["--output-dir"]),
        (
            ["data", "prepare", "{bad}/rows.jsonl", "-o", "{bad}/full"],
            ["{bad}/full: not empty, and holds nothing that isoglot made; give another --output-dir"],
        ),
        (["data", "prepare", "{bad}/rows.jsonl", "-o", "{bad}/file"], ["{bad}/file: is a file"]),
        (["data", "from-lareqa", "{bad}/no", "-o", "{bad}/o.jsonl"], ["{bad}/no: no such folder"]),
        (["data", "from-lareqa", "{bad}/lareqa", "-o", "{bad}/o.jsonl"], ["{bad}/lareqa/de.json:1: broken"]),
        (["data", "from-lareqa", "{lareqa}", "-o", "{bad}/o.jsonl", "--langs", "fr"], ["--langs 'fr': no fr here"]),
        (["evaluate"], ["--output-dir"]),
        (["evaluate", "-o", "{bad}/new", "--benchmark", "tydi"], ["--benchmark", "tydi"]),
        (["evaluate", "-o", "{bad}/new", "--benchmark", "rows"], ["--benchmark rows", "--rows FILE"]),
        (["evaluate", *ROWS], ["--rows: give --benchmark rows with it"]),
        (["evaluate", *ROWS, "--benchmark", "rows", "--context"], ["--context"]),
        (["evaluate", *ROWS, "--benchmark", "rows", "--model", "./no"], ["--model ./no: no such model folder"]),
        (["evaluate", "-o", "{bad}/new", "--data-dir", "{lareqa}"], ["the published file has 1190"]),
        (["evaluate", "-o", "{bad}/new", "--data-dir", "{bad}/no"], ["{bad}/no: no such folder"]),
        (["evaluate", "-o", "{bad}/new", "--langs", "de,xx"], ["--langs 'de,xx': no xx here"]),
        (["evaluate", *ROWS, "--benchmark", "rows", "--model", "{tiny}", "--precision", "fp8"], ["--precision", "fp8"]),
        (["train", "-o", "{bad}/new"], ["--rows"]),
        (["train", *ROWS, "--model", "{bad}/full"], ["--model {bad}/full: a folder without modules.json"]),
        (["train", *ROWS, "--model", "{tiny}", "--batch-size", "9"], ["--batch-size 8 or less"]),
        (["train", *ROWS, "--model", "{tiny}", "--lr", "-1"], ["--lr -1"]),
        (["train", *ROWS, "--model", "{tiny}", "--lr", "fast"], ["--lr", "fast"]),
        (["train", *ROWS, "--model", "{tiny}", "--regime", "y-x"], ["--regime", "y-x"]),
        (["train", *ROWS, "--model", "{tiny}", "--alpha", "2"], ["--alpha 2"]),
        (["train", *ROWS, "--model", "{tiny}", "--batch-size", "4", "--device", "toaster"], ["--device toaster"]),
        (["train", *ROWS, "--model", "{tiny}", "--regime", "en-en", "--pivot", "fr"], ["--pivot fr: not in the rows"]),
        (["train", *ROWS, "--config", "{bad}/no.toml"], ["{bad}/no.toml: cannot be read"]),
        (["train", *ROWS, "--config", "{bad}/broken.toml"], ["{bad}/broken.toml: not TOML", "line 1"]),
        (["train", *ROWS, "--config={bad}/unknown.toml"], ["{bad}/unknown.toml", "learning_rate"]),
        (["train", *ROWS, "--config", "{bad}/wrong.toml"], ["{bad}/wrong.toml", "lr", "fast"]),
        (["study", "{bad}/broken.toml", *ROWS], ["{bad}/broken.toml: not TOML"]),
        ([*STUDY, "--regimes", "x-y,x-z"], ["--regimes 'x-z'"]),
        ([*STUDY, "--regimes", "x-y,x-y"], ["--regimes 'x-y,x-y'"]),
        ([*STUDY, "--seeds", "1,one"], ["--seeds", "one"]),
        ([*STUDY, "--seeds", "1,1"], ["--seeds '1,1'"]),
        ([*STUDY, "--seeds=-1"], ["--seeds -1"]),
        ([*STUDY, "--resamples", "0"], ["--resamples 0"]),
        ([*STUDY], ["overlap the benchmark", "--allow-overlap"]),
        ([*STUDY, "--langs", "fr"], ["--langs: no rows in fr"]),
        (["quickstart", "--seeds", "x", "-o", "{bad}/new"], ["--seeds", "x"]),
        (["quickstart", "--max-steps", "0", "-o", "{bad}/new"], ["--max-steps 0"]),
        (["quickstart", "-o", "{bad}/file"], ["{bad}/file: is a file"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_bad_input_is_exit_code_2_and_a_message(call, bad, tiny_model, rows_file, lareqa_folder, argv, words):
    places = {"bad": bad, "tiny": tiny_model, "rows": rows_file, "lareqa": lareqa_folder}
    code, out, err = call(*(word.format(**places) for word in argv))
    # Parser errors stand in a box that breaks lines.
    said = " ".join(err.replace("│", " ").split())
    assert code == 2, (out, err)
    for word in words:
        assert word.format(**places) in said
    assert "Traceback" not in err
    left = {"broken.jsonl", "broken.toml", "unknown.toml", "wrong.toml", "file", "full", "lareqa", "rows.jsonl", "new"}
    assert {path.name for path in bad.iterdir()} <= left
    assert [path.name for path in (bad / "full").iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory; give a smaller --batch-size or --chunk"),
        (OSError(28, "No space left on device", "/some/file"), 1, "/some/file: No space left on device"),
        (FileNotFoundError(2, "No such file", "/some/file"), 2, "/some/file: no such file"),
    ],
)
def test_what_happens_outside_becomes_an_exit_code(call, monkeypatch, rows_file, error, code, words):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("isoglot.data.description.describe", fail)
    found, _, err = call("data", "show", rows_file)
    assert found == code
    assert err == f"isoglot: {words}\n"


def test_sigterm_is_cleaned_up_after(call, rows_file, tmp_path, monkeypatch):
    def stopped(rows, problems, folder, *args, **kwargs):
        (folder / "rows.arrow").write_bytes(b"some")
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL  # which would end the tests
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    monkeypatch.setattr("isoglot.data.prepared.write_prepared", stopped)
    code, _, err = call("data", "prepare", rows_file, "-o", tmp_path / "out" / "rows")
    assert (code, err) == (143, "isoglot: interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_sigterm_reaches_the_processes_that_a_command_waits_for(monkeypatch):
    # A shell in the background hands SIGINT down ignored, and `sleep` leaves it so.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(["sleep", "60"], preexec_fn=heard) as child:
        monkeypatch.setattr("multiprocessing.active_children", lambda: [child])
        with sigterm_interrupts() as termination, pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert child.wait(30) == -signal.SIGINT
    assert termination.came


def test_sigterm_ends_forks_and_servers_at_once():
    with sigterm_interrupts() as termination:
        forked = os.fork()
        if not forked:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == -signal.SIGTERM
        with sigterm_ends():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    assert not termination.came


def test_whoever_hears_sigterm_already_goes_on_hearing_it():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with sigterm_interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_looks_at_rows_finds_them_laid_out(call, rows_file, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    laid_out = []
    write = prepared.write_prepared
    monkeypatch.setattr(prepared, "write_prepared", lambda *args, **how: laid_out.append(1) or write(*args, **how))
    first = call("data", "show", rows_file, "--json")
    assert first[0] == 0
    assert call("data", "show", rows_file, "--json") == first
    assert call("data", "audit", rows_file, "--batch-size", 4, "--batches", 2)[0] == 0
    made = tmp_path / "made"
    for words in (
        ("mine", rows_file, "-o", made / "mined.jsonl", "--model", tiny_model),
        ("score", rows_file, "-o", made / "scored.jsonl", "--model", tiny_model),
        ("filter", rows_file, "-o", made / "kept.jsonl", "--model", tiny_model),
    ):
        assert call("data", *words)[0] == 0, words
    fitted = ("--rows", rows_file, "--model", tiny_model, "--method", "center", "-o", made / "center.npz")
    assert call("debias", "fit", *fitted)[0] == 0
    assert laid_out == [1]
    code, _, err = call("data", "show", rows_file, tmp_path / "missing.jsonl")
    assert (code, "missing.jsonl: no such file" in err) == (2, True)
    assert call("data", "show", rows_file, "--langs", "de", "--json")[1] != first[1]


def test_main_exits_with_the_code(capsys):
    from isoglot.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["data", "show"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert isoglot.__version__ in capsys.readouterr().out


def test_a_reader_that_went_away_is_no_error(rows_file):
    environment = {**os.environ, "PYTHONPATH": str(Path(isoglot.__file__).parents[1])}
    program = f"from isoglot.cli import main; main(['data', 'show', {str(rows_file)!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.close()
        said = running.stderr.read().decode()
        assert (running.wait(), said) == (0, "")


def test_public_names_are_what_they_say_in_any_order():
    script = (
        "import isoglot.training.run, isoglot.studies.run, isoglot.measuring.evaluating\n"
        "from isoglot import evaluate, study, train\n"
        "from isoglot import __all__ as names\n"
        "import isoglot\n"
        "assert all(callable(each) for each in (evaluate, study, train)), (evaluate, study, train)\n"
        "assert all(getattr(isoglot, name) is not None for name in names)\n"
        "assert isoglot.evaluate is evaluate\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("settings", [Sampling, TrainSettings, Source])
def test_every_flag_has_a_line_of_its_own(settings):
    for field in fields(settings):
        assert re.search(rf"^ +{field.name}: \S", settings.__doc__, re.MULTILINE), field.name


def test_as_a_module_on_a_terminal_that_shows_ascii_only(tmp_path):
    rows = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(2, ("en", "zh"), "数据"))
    environment = {**os.environ, "PYTHONPATH": str(Path(isoglot.__file__).parents[1]), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "isoglot", "data", "show", str(rows)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u6570\u636e (4 rows)" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_json_is_json_whatever_the_terminal_shows(tmp_path, monkeypatch, encoding):
    rows = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(2, ("en", "zh"), "größe数据"))
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr("sys.stdout", out)
    assert run(["data", "show", str(rows), "--json"]) == 0
    assert "größe数据" in json.dumps(json.loads(out.buffer.getvalue().decode("utf-8")), ensure_ascii=False)


def test_closed_streams_are_no_error(tmp_path, monkeypatch):
    rows = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(2, ("en", "zh")))
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    for arguments, code in ((["data", "show", str(rows)], 0), (["data", "show", "none.jsonl"], 2)):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == code


def test_names_of_files_cannot_steer_a_terminal(capsys):
    assert run(["data", "show", "a\x1bx.jsonl"]) == 2
    assert "a\\x1bx.jsonl: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["debias", "fit", "--rows", "{rows}", "-o", "{bad}/file/d.npz"],
        ["data", "mine", "{rows}", "-o", "{bad}/file/mined.jsonl"],
        ["train", "--rows", "{rows}", "-o", "{bad}/file/model"],
        ["data", "prepare", "{rows}", "-o", "{bad}/file/prepared"],
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(call, monkeypatch, bad, rows_file, argv):
    def encode(*args, **kwargs):
        raise AssertionError("nothing to do yet")

    for name in ("isoglot.cli.debias.open_encoder", "isoglot.cli.mining.open_encoder", "isoglot.cli.mining.open_rows"):
        monkeypatch.setattr(name, encode)
    code, _, err = call(*(word.format(bad=bad, rows=rows_file) for word in argv))
    assert code == 2
    assert f"{bad}/file" in err
    assert "; choose another " in err


def test_a_model_in_a_folder_without_access(call, monkeypatch, tmp_path, rows_file):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", lambda self: refuse(self) if self.name == "locked" else os.path.isdir(self))
    words = ("evaluate", "--benchmark", "rows", "--rows", rows_file, "-o", tmp_path / "o", "--model", "in/locked")
    code, _, err = call(*words)
    assert (code, err) == (
        2,
        "isoglot: --model in/locked: cannot be read (Permission denied); change its permissions, or give another\n",
    )
    code, _, err = call("data", "show", "in/locked")
    assert (code, err) == (2, "isoglot: in/locked: Permission denied; change its rights, or name another place\n")


def test_a_regime_as_reports_call_it(call, rows_file, tmp_path):
    code, _, err = call("train", "--rows", rows_file, "-o", tmp_path / "o", "--regime", "hybrid-0.5")
    assert code == 2
    assert "--regime 'hybrid-0.5': expected one of" in " ".join(err.replace("│", " ").split())
    assert "(--regime hybrid with --alpha 0.5)" in " ".join(err.replace("│", " ").split())


def steps(number):
    return [*QUICK[:3], str(number), *QUICK[4:]]


def test_train_says_where_it_is_where_stderr_is_no_terminal(call, rows_file, tiny_model, tmp_path):
    words = ["train", "--rows", rows_file, "--model", tiny_model, *steps(4), "--log-steps", "2"]
    code, out, err = call(*words, "-o", tmp_path / "model")
    assert (code, out) == (0, f"model in {tmp_path / 'model'}\n")
    logged = [json.loads(line) for line in (tmp_path / "model" / "training.jsonl").read_text().splitlines()]
    said = re.findall(r"^step (\d+) of 4: loss ([\d.]+), \d+ s$", err, re.MULTILINE)
    assert said == [(str(line["step"]), f"{line['loss']:.4f}") for line in logged if "loss" in line]
    assert [step for step, _ in said] == ["2", "4"]


@pytest.mark.parametrize(("told", "ends"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_says_how_it_goes_on(call, rows_file, tiny_model, tmp_path, monkeypatch, told, ends):
    def interrupt(self, args, state, control, **kwargs):
        if state.global_step == 1:
            os.kill(os.getpid(), told)

    words = ["train", "--rows", rows_file, "--model", tiny_model, *steps(6), "-o", tmp_path / "model"]
    with monkeypatch.context() as patch:
        patch.setattr("isoglot.training.log.StepLog.on_step_end", interrupt)
        code, _, err = call(*words)
    step = max(int(path.name.partition("-")[2]) for path in (tmp_path / "model" / "checkpoints").glob("checkpoint-*"))
    assert code == ends
    assert err.endswith(
        f"isoglot: interrupted; run the same command with --resume to continue from checkpoint {step}\n"
    )
    assert call(*words, "--resume")[0] == 0


def test_a_training_is_not_resumed_in_somebody_elses_folder(call, rows_file, tiny_model, tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("README.md", "config.json"):
        (tmp_path / "model" / name).write_text("theirs")
    words = ["train", "--rows", rows_file, "--model", tiny_model, *QUICK, "-o", tmp_path / "model"]
    code, _, err = call(*words, "--resume")
    assert code == 2
    assert err.endswith("/model: not empty, and holds nothing that isoglot made; give another --output-dir\n")
    assert {path.name: path.read_text() for path in (tmp_path / "model").iterdir()} == {
        "README.md": "theirs",
        "config.json": "theirs",
    }


def test_an_interruption_before_a_checkpoint_promises_nothing(call, rows_file, tiny_model, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("isoglot.training.run"), "load", interrupt)
    code, _, err = call("train", "--rows", rows_file, "--model", tiny_model, *QUICK, "-o", tmp_path / "model")
    assert (code, err) == (130, "isoglot: interrupted\n")
