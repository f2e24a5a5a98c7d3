"""What somebody new may give a public function by mistake is refused in words that name it, not by a traceback."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from isoglot import (
    Benchmark,
    HybridBatchSampler,
    IsoglotError,
    Searcher,
    build_index,
    evaluate,
    load_benchmark,
    prepare,
)
from isoglot import study as run_study
from isoglot import train as run_training
from isoglot.core.errors import InputError
from isoglot.curation import MineSettings, audit, mine
from isoglot.data import register_benchmark
from isoglot.documents import find_sources, read_files
from isoglot.encoders import (
    Debias,
    Endpoint,
    ModelEmbedder,
    ModelOptions,
    encode,
    load,
    load_cross_encoder,
    load_debias,
    open_embedder,
    open_judge,
)
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import center, csls, lir
from isoglot.encoders.light import open_light
from isoglot.measuring import compare, load_evaluation, stacked
from isoglot.search import register_store
from isoglot.serve import ServeSettings, create_app
from isoglot.studies import StudySettings
from isoglot.training import (
    LoraSettings,
    Sampling,
    TrainSettings,
    average_models,
    register_loss,
    register_regime,
)

ROWS = [
    {"group": str(number), "lang": lang, "query": f"{lang} question {number}?", "passage": f"{lang} answer {number}."}
    for number in range(6)
    for lang in ("de", "en")
]
NOTES = [{"id": "tides", "lang": "de", "text": "Die Flut steigt."}, {"id": "bread", "lang": "en", "text": "Bread."}]


def embed(texts, role):
    return np.array([[len(text), text.count("e") + 1.0, 1.0] for text in texts])


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    before = os.environ.get("ISOGLOT_CACHE")
    os.environ["ISOGLOT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["ISOGLOT_CACHE"]
    else:
        os.environ["ISOGLOT_CACHE"] = before


@pytest.fixture(scope="module")
def benchmark():
    return load_benchmark("rows", rows=ROWS)


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched") / "index"
    build_index(NOTES, folder, embed)
    return Searcher.open(folder, embed)


def refused(words, call, *given, **named):
    with pytest.raises(IsoglotError) as caught:
        call(*given, **named)
    assert caught.value.exit_code == 2
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (pl.Series([1, 2]), "rows are given as Series, which is no table"),
        (pd.Series([1]), "rows are given as Series"),
        (pl.LazyFrame(ROWS), "give its frame, with `.collect()`"),
        (lambda: iter(ROWS), "rows are given as function"),
        (5, "rows are given as int"),
    ],
)
def test_rows(rows, words):
    refused(words, prepare, rows)


def test_a_folder_and_languages_of_rows():
    refused("folder: given as int; expected where the prepared files go", prepare, ROWS, 5)
    refused("langs: given as int; expected codes", prepare, ROWS, langs=5)
    assert prepare(ROWS, langs="DE", show_progress=False).table.languages == ("de",)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"row": ROWS}, "load_benchmark takes no row; expected some of context, rows"),
        ({"rows": ROWS, "subset": "half"}, "subset 'half': expected one of full, hard-negatives"),
        ({"rows": ROWS, "langs": 5}, "langs: given as int"),
        ({"data_dir": 5}, "data_dir: given as int; expected the folder of its files"),
    ],
)
def test_benchmarks(named, words):
    refused(words, load_benchmark, "rows", **named)


def test_comparisons(benchmark):
    result = evaluate(embed, benchmark)
    refused("runs: there is none", stacked, [])
    refused("runs: one of them: given as Evaluation; expected a (name, Evaluation) pair", stacked, [result])
    refused("stacks: one of them: given as tuple; expected what `stacked` makes", compare, [("one", result)])
    two = stacked([("one", result), ("two", result)])
    refused("measures: one of them: given as str; expected (setting, measure)", compare, two, measures=["map"])
    refused("measure 'MAP': no such measure; there are: map,", compare, two, measures=[("multilingual", "MAP")])
    refused("setting 'pool': expected one of monolingual", compare, two, measures=[("pool", "map")])
    assert compare(two, resamples=20, measures=[("multilingual", "peer@100")]) == []  # known, but not measured here
    assert [stack.regime for stack in stacked({"one": result, "two": result}.items())] == ["one", "two"]


def test_benchmarks_of_dicts():
    queries, passages = {"q1": "Wer?", "q2": "Wo?"}, {"p1": "Anna.", "p2": "Hier."}
    qrels = {"q1": {"p1": 1}, "q2": {"p2": 1}}
    refused(
        "two queries of one group in one language ('q1', 'q2' of 'g' in de)",
        Benchmark.from_dicts,
        queries,
        passages,
        qrels,
        "de",
        groups={"q1": "g", "q2": "g"},
    )
    series = pd.Series({"q1": "g"})
    refused("groups: expected a dict, got Series", Benchmark.from_dicts, queries, passages, qrels, "de", groups=series)
    refused("1 problem in the input:\nlanguages: 'German'", Benchmark.from_dicts, queries, passages, qrels, "German")
    languages = {"q1": "th", "q2": "de", "p1": "de", "p2": "de"}
    refused("queries but no candidates in th; add passages", Benchmark.from_dicts, queries, passages, qrels, languages)


@pytest.mark.parametrize(
    ("given", "named", "words"),
    [
        (("a text", "query"), {}, "texts: given as str; expected a list of texts"),
        (([1, 2], "query"), {}, "texts: contain 1; expected only texts"),
        ((["a", None], "query"), {}, "texts: contain None; expected only texts"),
        ((["a"], "document"), {}, "role 'document': expected one of query, passage"),
        ((["a"], "query"), {"length": "9"}, "length '9': expected a whole number of tokens"),
    ],
)
def test_texts_to_encode(model, given, named, words):
    refused(words, encode, model, *given, **named)


@pytest.mark.parametrize("kind", ["model", "light", "function", "endpoint", "devices"])
def test_encoders_that_are_called_by_hand(kind, tiny_model, tmp_path):
    encoder = {
        "model": lambda: open_embedder(str(tiny_model), ModelOptions(device="cpu")),
        "light": lambda: open_light(str(tiny_model), ModelOptions(device="cpu")),
        "function": lambda: open_embedder(embed),
        "endpoint": lambda: Endpoint("http://127.0.0.1:9/v1", "m", tmp_path / "cache"),
        "devices": lambda: open_embedder(str(tiny_model), devices="cpu,cpu"),
    }[kind]()
    # One text is no list of its letters, which have vectors, too.
    refused("texts: given as str; expected a list of texts", encoder, "Flut", "query")
    refused("texts: contain None; expected only texts", encoder, ["Flut", None], "query")
    refused("role 'document': expected one of query, passage", encoder, ["Flut"], "document")
    if kind in ("model", "light"):
        refused("texts: given as str", encoder.encoded_tokens, "Flut", "query")
    if kind == "model":
        refused("role 'document'", encoder.encoded_within, ["Flut"], ["Die Flut."], "document")


def test_models_and_their_options(tiny_model):
    refused("options: given as dict; expected a ModelOptions", open_embedder, str(tiny_model), {"length": 9})
    refused("model_kwargs: given as dict; expected JSON as one text", ModelOptions, model_kwargs={"dtype": "float32"})
    refused("cross-encoder: given as int", load_cross_encoder, 5)
    refused("model: given as int; expected a folder", open_judge, 5)
    refused("model: the name is empty", load, "")
    refused("model: given as str; expected a Sentence Transformer", ModelEmbedder, str(tiny_model))
    refused("debias: given as None; expected the file of a correction", load_debias, None)
    for opened in (load, load_cross_encoder):  # a text such as "no" counts as true
        refused("trust_remote_code: given as str; expected True", opened, str(tiny_model), trust_remote_code="no")
    refused("expected endpoint:http(s)://HOST/v1#MODEL", open_embedder, "endpoint:http://[::1#m")
    assert open_embedder(tiny_model, ModelOptions(device="cpu")).name == str(tiny_model)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"url": 5}, "url: given as int"),
        ({"model": None}, "model: given as None"),
        ({"cache": None}, "cache: given as None"),
        ({"batch_size": 0}, "batch_size 0: expected at least 1"),
        ({"tries": 0}, "tries 0: expected at least 1"),
        ({"timeout": 0}, "timeout 0: expected more than 0 seconds"),
    ],
)
def test_endpoints(tmp_path, named, words):
    refused(words, Endpoint, **{"url": "http://127.0.0.1:9/v1", "model": "m", "cache": tmp_path / "cache", **named})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda fitted, x: fitted.apply(x, ["de", "en"], "document"), "role 'document': expected one of query"),
        (lambda fitted, x: fitted.apply(x, "de"), "langs: given as one text, 'de'"),
        (lambda fitted, x: lir([Sample(x, ["de", "en"], "query")], rank="1"), "rank '1': expected a whole number"),
        (lambda fitted, x: csls([Sample(x, ["de", "en"], "query")], strength="a"), "strength 'a': expected 0 to 1"),
        (lambda fitted, x: csls([Sample(x, ["de", "en"], "query")], neighbours=1.5), "neighbours 1.5: expected a"),
    ],
)
def test_corrections(call, words):
    x = np.eye(2, dtype=np.float32)
    refused(words, call, center([Sample(x.tolist(), ["de", "en"], "query")]), x)


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (["nowhere"], "devices nowhere: not usable here"),
        (0, "devices: given as int; expected names of devices"),
        ([0.5], "devices: one of them: given as float"),
    ],
)
def test_devices(tiny_model, devices, words):
    refused(words, open_embedder, str(tiny_model), devices=devices)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"debias": "center.npz"}, "debias: given as str; expected a correction"),
        ({"relevant_from": "2"}, "relevant_from '2': expected a grade of 1 or more"),
        ({"relevant_from": 0}, "relevant_from 0: expected a grade of 1 or more"),
        ({"trained": 5}, "trained: given as int; expected codes"),
        ({"precision": "fp8"}, "precision 'fp8': expected one of auto, bf16, fp32"),
        ({"devices": "cpu,cpu"}, "devices cpu, cpu: only models that are opened here"),
    ],
)
def test_measuring(benchmark, named, words):
    refused(words, evaluate, embed, benchmark, **named)


def test_figures_that_there_are_not(benchmark, tmp_path):
    result = evaluate(embed, benchmark)
    refused("setting 'mono': expected one of monolingual, cross_lingual", result.macro, "mono", "map")
    refused("measure 'mapp': not measured here; there are: map, ", result.pair_matrix, "mapp")
    result.save(str(tmp_path / "new" / "measured"))
    assert load_evaluation(str(tmp_path / "new" / "measured")).macro("monolingual", "map") == pytest.approx(
        result.macro("monolingual", "map")
    )


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"negatives": "3"}, "negatives '3': expected a whole number, at least 1"),
        ({"pick": "best"}, "pick 'best': expected one of top, random"),
        ({"relative_margin": "a"}, "relative_margin 'a': expected a share"),
        ({"max_score": "a"}, "max_score 'a': expected a number"),
        ({"range_min": -1}, "range_min -1: expected at least 0"),
    ],
)
def test_settings_of_mining(named, words):
    refused(words, MineSettings, **named)


def test_mining_and_auditing(tiny_model):
    refused("settings: given as dict; expected a MineSettings", mine, embed, ROWS, {"negatives": 1})
    refused("rows are given as int", mine, embed, 5)
    refused("int is not a model", mine, 5, ROWS)
    refused("sampling: given as str; expected a Sampling", audit, ROWS, sampling="hybrid")
    refused("tokeniser: given as str; expected a Tokeniser", audit, ROWS, tokeniser="embedded")
    refused("batch_size 0: expected at least 1", audit, ROWS, batch_size=0)
    refused("no benchmark of this name", audit, ROWS, benchmark="nowhere")


def test_mining_takes_names_of_models_and_rows_as_they_are(tiny_model):
    by_name = mine(str(tiny_model), ROWS, MineSettings(negatives=1), precision="fp32")
    by_path = mine(tiny_model, prepare(ROWS, show_progress=False), MineSettings(negatives=1), precision="fp32")
    assert by_name == by_path
    assert len(by_name.negatives) == len(ROWS)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"k": "5"}, "k '5': expected 1 to 1000"),
        ({"k": 2.5}, "k 2.5: expected 1 to 1000"),
        ({"langs": 5}, "langs: given as int"),
        ({"offset": "1"}, "offset '1': expected a whole number"),
        ({"quota": "all"}, "quota 'all': expected 0 to 1"),
        (
            {"collapse": "document"},
            "collapse 'document': expected a sequence of 'document' and 'text', such as ['document']",
        ),
        ({"collapse": 5}, "collapse 5: expected a sequence"),
        ({"where": 5}, "where: given as int; expected a filter as text"),
        ({"query_lang": 5}, "query_lang: given as int; expected a code"),
        ({"rerank": 5}, "rerank: given as int; expected a model"),
        ({"expand": "http://127.0.0.1/v1"}, "expand: given as str; expected a function"),
        ({"vector": [1.0, 2.0]}, "vector: (2,) numbers; expected what `query_vectors` makes, 3 numbers a query"),
        ({"vector": "abc"}, "vector: not an array of numbers"),
        ({"expand": lambda query: None}, "expand: its result for 'Flut': given as None; expected a text"),
    ],
)
def test_searches(searcher, named, words):
    refused(words, searcher.search, "Flut", **named)


def test_other_questions_to_an_index(searcher):
    refused("queries: given as int; expected a list of texts", searcher.search_many, 5)
    refused("facets: given as int; expected a sequence of names", searcher.facets, 5)
    refused("neighbours '1': expected 0 to 20", searcher.neighbours, "tides", "1")
    refused("options: given as int; expected a ModelOptions", Searcher.open, "index", options=5)
    refused("opener: given as str; expected a function that takes an About", Searcher.open, "index", opener="E5")
    refused("index: given as int; expected the folder of an index", Searcher.open, 5)
    refused("index: given as a path, 'notes'; expected an Index; Searcher.open opens a folder", Searcher, "notes")
    refused("queries: given as str; expected a list of texts", searcher.query_vectors, "Flut")
    own = searcher.query_vectors(["Flut"])[0]
    assert searcher.search("Flut", vector=own.tolist()) == searcher.search("Flut")
    assert [hit.lang for hit in searcher.search("Flut", langs="DE")] == ["de"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"folder": 5}, "folder: given as int; expected the folder of the index"),
        ({"options": 5}, "options: given as int; expected a ModelOptions"),
        ({"options": {"dtype": "bfloat16"}}, "options: given as dict; expected a ModelOptions"),
        ({"debias": 5}, "debias: given as int; expected the file of a correction"),
        ({"moved_from": 5, "update": True}, "moved_from: given as int; expected where the input was"),
        ({"delete": "tides", "update": True}, "delete: given as one text; expected a list of ids"),
        ({"most_deleted": "half", "sync": True}, "most_deleted 'half': expected a share from 0 to 1"),
        ({"length": "long"}, "length"),
    ],
)
def test_indexing(tmp_path, tiny_model, named, words):
    refused(words, build_index, NOTES, **{"folder": tmp_path / "index", "model": str(tiny_model), **named})


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"results": -1}, "results -1: expected at least 1"),
        ({"seconds": 0}, "seconds 0: expected more than 0"),
        ({"hosts": "localhost"}, "hosts: given as str; expected several"),
        ({"threads": 1.5}, "threads 1.5: expected a whole number"),
    ],
)
def test_limits_of_a_server(named, words):
    refused(words, ServeSettings, **named)


def test_what_is_served(searcher):
    refused("searchers: given as Searcher; expected open indexes by name", create_app, searcher)
    refused("searchers: there is none", create_app, {})
    refused("searchers: 'notes': given as str; expected an open index", create_app, {"notes": "notes-index"})
    refused("settings: given as dict; expected a ServeSettings", create_app, {"notes": searcher}, {"results": 5})
    refused("embed: no index here is named 'other'", create_app, {"notes": searcher}, embed={"other": embed})


@pytest.mark.parametrize(
    ("settings", "named", "words"),
    [
        (TrainSettings, {"batch_size": "32"}, "batch_size '32': expected a whole number"),
        (TrainSettings, {"max_steps": 2.5}, "max_steps 2.5: expected a whole number"),
        (TrainSettings, {"patience": None}, "patience None: expected a whole number"),
        (TrainSettings, {"lr": "fast"}, "lr 'fast': expected a positive number"),
        (TrainSettings, {"holdout": "a"}, "holdout 'a': expected a share"),
        (TrainSettings, {"loss_jsd": None}, "loss_jsd None: expected a weight"),
        (TrainSettings, {"lora": 16}, "lora: given as int; expected a LoraSettings"),
        (TrainSettings, {"sampling": "hybrid"}, "sampling: given as str; expected a Sampling"),
        (TrainSettings, {"loss": "margin=0.5"}, "loss: given as str; expected several NAME=WEIGHT"),
        (TrainSettings, {"loss": (5,)}, "loss: given as int; expected NAME=WEIGHT"),
        (TrainSettings, {"log_batches": "no"}, "log_batches: given as str; expected True or False"),
        (LoraSettings, {"rank": 4, "merge": "no"}, "lora.merge: given as str; expected True or False"),
        (StudySettings, {"keep_models": "no"}, "keep_models: given as str; expected True or False"),
        (ServeSettings, {"log_queries": "no"}, "log_queries: given as str; expected True or False"),
        (ModelOptions, {"trust_remote_code": "no"}, "trust_remote_code: given as str; expected True or False"),
        (LoraSettings, {"rank": 4.5}, "lora.rank 4.5: expected a whole number"),
        (LoraSettings, {"rank": 4, "dropout": "a"}, "lora.dropout 'a': expected a share"),
        (LoraSettings, {"rank": 4, "targets": 5}, "lora.targets: given as int; expected names of layers"),
        (Sampling, {"alpha": "half"}, "alpha 'half': expected a probability"),
        (Sampling, {"pivot": 5}, "pivot: given as int; expected a text"),
        (
            StudySettings,
            {"regimes": "hybrid"},
            "regimes: given as str; expected several, such as ('x-x-mono'",
        ),
        (StudySettings, {"regimes": (5,)}, "regimes: one of them: given as int"),
        (StudySettings, {"seeds": 0}, "seeds: given as int; expected several"),
        (StudySettings, {"train": {}}, "train: given as dict; expected a TrainSettings"),
    ],
)
def test_settings_of_training(settings, named, words):
    refused(words, settings, **named)


def no_number(batch):
    return [1.0]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"model": 5}, "model: given as int; expected what isoglot.load takes"),
        ({"folder": None}, "folder: given as None; expected the output folder"),
        ({"loss": "margin"}, "loss 'margin': given as a name; expected a function of a batch"),
        ({"loss": 5}, "loss: given as int; expected a function of a batch"),
        ({"loss": lambda: 1.0}, "loss 'loss': too many positional arguments; expected a function of a batch"),
        ({"loss": no_number}, "loss 'loss' gave list; expected a scalar tensor"),
        ({"loss": lambda batch: batch.queries.detach().sum()}, "loss 'loss' has no gradient"),
        ({"callbacks": embed}, "callbacks: given as function; expected several callbacks"),
        ({"callbacks": [embed]}, "callbacks: one of them: given as function; expected a TrainerCallback"),
        ({"options": {"dtype": "float32"}}, "options: given as dict; expected a LoadOptions"),
        ({"langs": 5}, "langs: given as int; expected codes"),
        ({"select_on": lambda model: 1.0}, "select_on gave 1.0; expected numbers by name"),
        ({"select_on": lambda model: {"score": float("nan")}}, "select_on gave a `score` of NaN"),
    ],
)
def test_training(tiny_model, tmp_path, named, words):
    settings = TrainSettings(batch_size=4, max_steps=1, warmup_steps=0, precision="fp32", device="cpu", eval_steps=1)
    given = {"model": str(tiny_model), "rows": ROWS, "folder": tmp_path / "out", "settings": settings, **named}
    refused(words, run_training, **given)
    # What was refused is not in the way of the next try.
    assert not (tmp_path / "out").exists()


def test_training_a_model_whose_folder_is_a_path(tiny_model, tmp_path):
    settings = TrainSettings(batch_size=4, max_steps=1, warmup_steps=0, precision="fp32", device="cpu")
    assert run_training(tiny_model, ROWS, tmp_path / "out", settings) == tmp_path / "out"


def test_numpys_numbers_are_numbers(tiny_model, tmp_path, benchmark):
    """They are counted among whole numbers, but neither `random` nor JSON takes them."""
    one, two, half = np.int64(1), np.int64(2), np.float32(0.5)
    settings = TrainSettings(
        batch_size=two, max_steps=one, warmup_steps=one, seed=one, lr=np.float32(1e-4), precision="fp32", device="cpu",
        sampling=Sampling(alpha=half), lora=LoraSettings(rank=two, alpha=half),
    )  # fmt: skip
    assert run_training(str(tiny_model), ROWS, tmp_path / "one", settings) == tmp_path / "one"
    assert run_training(str(tiny_model), ROWS, tmp_path / "one", settings, resume=True) == tmp_path / "one"
    plain = replace(settings, lora=None)
    for name in ("two", "three"):
        run_training(str(tiny_model), ROWS, tmp_path / name, plain)
    average_models([tmp_path / "two", tmp_path / "three"], tmp_path / "mean", [half, half])
    evaluate(tiny_model, benchmark, length=np.int64(40)).save(tmp_path / "measured")
    assert build_index(NOTES, tmp_path / "index", tiny_model, length=np.int64(60)).added == 2
    assert isinstance(mine(tiny_model, ROWS, MineSettings(negatives=two)).short, int)


def test_averages(tmp_path):
    refused("models: given as str; expected two or more folders", average_models, "model", tmp_path / "mean")
    for weights in (["a", "b"], 5):
        refused("weights", average_models, ["a", "b"], tmp_path / "mean", weights)


def test_studies(benchmark, tmp_path):
    refused("settings: given as dict; expected a StudySettings", run_study, ROWS, benchmark, tmp_path / "s", {})
    refused("benchmark: given as list; expected a Benchmark", run_study, ROWS, ROWS, tmp_path / "s")
    refused("rows are given as int", run_study, 5, benchmark, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_batches():
    rows = prepare(ROWS, show_progress=False)
    refused("table: given as Prepared; expected the table of prepared rows", HybridBatchSampler, rows)
    refused("sampling: given as str", HybridBatchSampler, rows.table, "hybrid")
    refused("batch_size 1: expected at least 2 pairs", HybridBatchSampler, rows.table, batch_size=1)


@pytest.mark.parametrize("register", [register_loss, register_regime, register_benchmark, register_store])
def test_what_is_registered(register):
    with pytest.raises(InputError, match=r"'own': given as int; expected a function"):
        register("own", 5)
    with pytest.raises(InputError, match=r"'own': too many positional arguments; expected a function"):
        register("own", lambda: None)
    with pytest.raises(InputError, match=r"expected a name without spaces"):
        register(5, lambda *given: None)


def test_what_registered_functions_give():
    from isoglot.data.benchmarks.named import BENCHMARKS
    from isoglot.search.stores.named import STORES
    from isoglot.training.sampling.regimes import REGIMES

    table = prepare(ROWS, show_progress=False).table
    with BENCHMARKS.temporary(), STORES.temporary(), REGIMES.temporary():
        register_benchmark("own", lambda request: {})
        refused("benchmark 'own': its opener returned dict; expected a Benchmark", load_benchmark, "own")
        register_store("own", lambda rest: None)
        refused("store 'own': returned NoneType for 'place'; expected an Index", Searcher.open, "own:place")
        register_regime("own", lambda table, sampling, batch: 5)
        refused("regime 'own': its plans: given as int", HybridBatchSampler, table, Sampling("own"), 2)


def test_paths_are_taken_where_text_is(tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = build_index(NOTES, "index", Path(tiny_model))
    assert built.version.documents == 2
    assert Searcher.open(Path("index")).search("Flut", k=1)[0].id in ("tides", "bread")
    Path("docs").mkdir()
    Path("docs/tides.txt").write_text("Die Flut steigt.")
    for given in ("docs", ["docs"], Path("docs"), [Path("docs")]):
        assert [document.text for document in read_files(given)] == ["Die Flut steigt."]
        assert [source.path.name for source in find_sources(given)] == ["tides.txt"]
    Debias("center", {("passage", "und"): np.ones(3, np.float32)}).save("center.npz")
    assert load_debias("center.npz").method == load_debias(Path("center.npz")).method == "center"
    assert type(open_judge(Path(tiny_model), device="cpu")) is type(open_judge(str(tiny_model), device="cpu"))
    assert Endpoint("http://127.0.0.1:9/v1", "m", "cache/m.sqlite").cache == Path("cache/m.sqlite")


def test_text_is_taken_where_paths_are(tmp_path):
    center([Sample(embed(["Ebbe", "See", "sea", "low tide"], "passage"), ["de", "de", "en", "en"], "passage")]).save(
        tmp_path / "centred.npz"
    )
    (tmp_path / "before").mkdir()
    for note in NOTES:
        (tmp_path / "before" / f"{note['id']}.txt").write_text(note["text"], encoding="utf-8")
    folder, centred = tmp_path / "index", str(tmp_path / "centred.npz")
    build_index([tmp_path / "before"], folder, embed, debias=centred)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = {"moved_from": str(tmp_path / "before")}
    again = build_index([tmp_path / "after"], folder, embed, debias=centred, update=True, **moved)
    assert (again.added, again.unchanged) == (0, 2)
