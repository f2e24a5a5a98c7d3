"""MTEB: result files in its schema, and the benchmarks as its tasks, against our own figures."""

import doctest
import json
from dataclasses import replace

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.languages.known_languages import known
from isoglot.measuring import mteb_results as module
from isoglot.measuring.evaluating import evaluate
from isoglot.measuring.measures import average_precision
from isoglot.measuring.mteb_results import mteb_code, mteb_results, write_mteb
from isoglot.measuring.ranks import gold_ranks, select
from isoglot.measuring.scoring import score


@pytest.fixture(scope="module")
def evaluation():
    rng = np.random.default_rng(0)
    langs = ("de", "zh")
    queries = [(f"{x}{n}q", x, f"g{n}", f"{x} {n}?") for x in langs for n in range(6)]
    candidates = [(f"{x}{n}", x, f"{x} {n}") for x in langs for n in range(6)]
    benchmark = assemble("xquad-r", queries, candidates, {f"g{n}": [f"{x}{n}" for x in langs] for n in range(6)})
    vectors = rng.standard_normal((2, 12, 4)).astype(np.float32)
    return score(benchmark, *vectors, name="random")


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_results_hold_every_subset_with_our_figures(evaluation):
    pairs, pooled = mteb_results(evaluation, seconds=1.5)
    assert (pairs["task_name"], pooled["task_name"]) == ("XQuAD-R", "XQuAD-R-Pooled")
    assert [entry["hf_subset"] for entry in pairs["scores"]["test"]] == ["de-de", "de-zh", "zh-de", "zh-zh"]
    figures = evaluation.metrics()
    for entry in pairs["scores"]["test"]:
        assert entry["main_score"] == pytest.approx(figures["pairs"][entry["hf_subset"].replace("-", ">")]["map"])
    for entry in pooled["scores"]["test"]:
        own = figures["per_language"][entry["hf_subset"]]["multilingual"]
        assert entry["rank_distance"] == pytest.approx(own["rank_distance"])
    assert pairs["scores"]["test"][1]["languages"] == ["deu-Latn", "zho-Hans"]


def test_files_are_json_that_mteb_reads(evaluation, tmp_path):
    written = write_mteb(evaluation, str(tmp_path))
    assert [path.name for path in written] == ["XQuAD-R.json", "XQuAD-R-Pooled.json"]
    for path in written:
        json.loads(path.read_text(encoding="utf-8"))
    mteb = pytest.importorskip("mteb")
    read = mteb.TaskResult.from_disk(written[0])
    wanted = [entry["main_score"] for entry in mteb_results(evaluation)[0]["scores"]["test"]]
    assert read.get_score() == pytest.approx(np.mean(wanted))


def test_codes_of_all_known_languages_are_valid_in_mteb():
    checks = pytest.importorskip("mteb.languages")
    for code in known().keys() - {"nah"}:  # ISO 639-2 only: Nahuatl is a collection of languages
        checks.check_language_code(mteb_code(code))
        assert "-" in mteb_code(code)
    assert mteb_code("qqq") == "qqq"


def test_tasks_score_as_we_do(tiny_model, lareqa_folder):
    mteb = pytest.importorskip("mteb")
    from sentence_transformers import SentenceTransformer

    from isoglot.measuring.mteb_tasks import lareqa_tasks, register

    model = SentenceTransformer(str(tiny_model), device="cpu")
    benchmark = load_lareqa(lareqa_folder, "mini")
    ours = evaluate(model, benchmark, precision="fp32").metrics()
    pairs, pooled = lareqa_tasks("mini", lareqa_folder)
    register([pairs, pooled])
    assert mteb.get_task("mini-Pooled").metadata.languages == ["deu", "eng", "zho"]
    found = mteb.evaluate(model, [pairs, pooled], cache=None, co2_tracker=False, show_progress_bar=False)
    scores = {result.task_name: result.scores["test"] for result in found.task_results}
    assert len(scores["mini"]) == 9
    for entry in scores["mini"]:
        own = ours["pairs"][entry["hf_subset"].replace("-", ">")]
        assert entry["map_at_1000"] == pytest.approx(own["map"], abs=2e-5)
        assert entry["recall_at_1"] == pytest.approx(own["recall@1"], abs=2e-5)
    for entry in scores["mini-Pooled"]:
        own = ours["per_language"][entry["hf_subset"]]["multilingual"]
        assert entry["main_score"] == pytest.approx(own["map"], abs=2e-5)
        assert entry["ndcg_at_10"] == pytest.approx(own["ndcg@10"], abs=2e-5)


class Lookup:
    """An encoder in MTEB's protocol that gives known vectors of texts."""

    def __init__(self, vectors):
        from mteb.models import ModelMeta

        self.vectors = vectors
        self.mteb_model_meta = ModelMeta.create_empty({"name": "isoglot/lookup", "revision": "1"})

    def encode(self, inputs, *, prompt_type, **kwargs):
        return np.stack([self.vectors[prompt_type.value, text] for batch in inputs for text in batch["text"]])

    def similarity(self, a, b):
        return a @ b.T

    def similarity_pairwise(self, a, b):
        return (a * b).sum(axis=1)


def letters(texts):
    """Unit vectors of letter pairs and triples: alike for texts that share words, names or numbers."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 3), n_features=512)
    return hashing.transform([text.strip() for text in texts]).toarray().astype(np.float32)


def test_tasks_score_as_we_do_at_full_size(shared_data):
    """XQuAD-R in two languages. MTEB keeps 1000 candidates a query, so its mAP counts none beyond."""
    mteb = pytest.importorskip("mteb")
    from isoglot.measuring.mteb_tasks import lareqa_tasks

    benchmark = load_lareqa(shared_data / "xquad-r", "xquad-r", langs="de,es")
    queries, candidates = letters(benchmark.queries.texts), letters(benchmark.candidates.texts)
    known = {("query", text): v for text, v in zip(benchmark.queries.texts, queries, strict=True)}
    # MTEB takes the white space around a passage away (not around a query).
    texts = [text.strip() for text in benchmark.candidates.texts]
    known |= {("document", text): v for text, v in zip(texts, candidates, strict=True)}
    tasks = lareqa_tasks("xquad-r", shared_data / "xquad-r", langs="de,es")
    tasks[0].hf_subsets, tasks[1].hf_subsets = ["de-de", "es-de"], ["es"]
    found = mteb.evaluate(Lookup(known), tasks, cache=None, co2_tracker=False, show_progress_bar=False)
    ours = score(benchmark, queries, candidates).metrics()
    ranks, _ = gold_ranks(queries, candidates, benchmark.candidates.lang, benchmark.gold_offsets, benchmark.gold)
    language = benchmark.candidates.lang[benchmark.gold]

    def cut(query_lang, ranks, kept):
        """Our mAP with ranks beyond 1000 never found."""
        part = select(ranks, kept)
        values = average_precision(part.offsets, np.where(part.pooled <= 1000, part.pooled, np.inf))
        return values[benchmark.queries.lang == query_lang].mean()

    scores = {result.task_name: {e["hf_subset"]: e for e in result.scores["test"]} for result in found.task_results}
    assert (list(scores["XQuAD-R"]), list(scores["XQuAD-R-Pooled"])) == (["de-de", "es-de"], ["es"])
    within = replace(ranks, pooled=ranks.within)
    for subset, entry in scores["XQuAD-R"].items():
        x, y = map(benchmark.languages.index, subset.split("-"))
        own = ours["pairs"][subset.replace("-", ">")]
        assert entry["map_at_1000"] == pytest.approx(cut(x, within, language == y), abs=1e-4)
        assert entry["map_at_1000"] == pytest.approx(own["map"], abs=1e-3)
        assert entry["ndcg_at_10"] == pytest.approx(own["ndcg@10"], abs=1e-4)
        assert entry["recall_at_10"] == pytest.approx(own["recall@10"], abs=1e-4)
    for code, entry in scores["XQuAD-R-Pooled"].items():
        x, own = benchmark.languages.index(code), ours["per_language"][code]["multilingual"]
        assert entry["map_at_1000"] == pytest.approx(cut(x, ranks, language >= 0), abs=1e-4)
        assert entry["map_at_1000"] == pytest.approx(own["map"], abs=1e-3)
        assert entry["ndcg_at_10"] == pytest.approx(own["ndcg@10"], abs=1e-4)


def test_an_unknown_benchmark_is_refused():
    pytest.importorskip("mteb")
    from isoglot.measuring.mteb_tasks import lareqa_tasks

    with pytest.raises(InputError):
        lareqa_tasks("nothing-r")
