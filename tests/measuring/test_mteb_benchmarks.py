"""MTEB's tasks, registered locally, as benchmarks of ours: held against MTEB's own scores on the same vectors."""

import json
import zlib

import numpy as np
import pytest

pytest.importorskip("mteb")

import mteb
from datasets import Dataset
from mteb import TaskMetadata
from mteb.abstasks import AbsTaskRetrieval
from mteb.models import ModelMeta

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.mteb_task import load_mteb
from isoglot.measuring.evaluating import evaluate

CODES = {"de": "deu-Latn", "en": "eng-Latn", "fr": "fra-Latn"}
QUESTIONS = {
    "de": "Welche Farbe hat der Himmel über der Stadt Nummer {} am Abend?",
    "en": "Which colour does the sky over the town number {} have in the evening?",
    "fr": "De quelle couleur est le ciel au-dessus de la ville numéro {} le soir ?",
}
ANSWERS = {
    "de": "Der Himmel über der Stadt {} ist am Abend meistens rot und wird danach dunkel.",
    "en": "The sky over the town {} is mostly red in the evening and becomes dark after that.",
    "fr": "Le ciel au-dessus de la ville {} est le plus souvent rouge le soir et devient sombre.",
}


class Letters:
    """An encoder in MTEB's protocol: unit vectors of letters, the same for equal texts."""

    def __init__(self):
        self.mteb_model_meta = ModelMeta.create_empty({"name": "isoglot/letters", "revision": "1"})

    def __call__(self, texts, role="passage"):
        rows = [np.random.default_rng(zlib.crc32(text.strip().encode())).standard_normal(16) for text in texts]
        vectors = np.array(rows, np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode(self, inputs, *, prompt_type, **kwargs):
        return self([text for batch in inputs for text in batch["text"]])

    def similarity(self, a, b):
        return np.asarray(a) @ np.asarray(b).T

    def similarity_pairwise(self, a, b):
        return (a * b).sum(axis=1)


def task(name, subsets, *, grade=lambda n: 1, ids="q{}", groups=12, extra=6):
    """A task with subsets {key: (language of queries, of passages)}; `eval_langs` names the languages as given."""

    def part(asked, answered):
        return {
            "queries": Dataset.from_list(
                [{"id": ids.format(n), "text": QUESTIONS[asked].format(n)} for n in range(groups)]
            ),
            "corpus": Dataset.from_list(
                [
                    {"id": f"{answered}{n}", "title": "T" if n % 2 else "", "text": ANSWERS[answered].format(n)}
                    for n in range(groups + extra)
                ]
            ),
            "relevant_docs": {
                ids.format(n): {f"{answered}{n}": grade(n), f"{answered}{n + 1}": 0, f"{answered}{n + 5}": 1}
                for n in range(groups)
            },
            "top_ranked": None,
        }

    def load_data(self, num_proc=None, **kwargs):
        self.dataset = {key: {"test": part(*subsets[key][:2])} for key in self.hf_subsets}
        self.data_loaded = True

    metadata = TaskMetadata(
        name=name,
        description="Towns.",
        reference=None,
        dataset={"path": "local/towns", "revision": "1"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs={key: [CODES[code] for code in found[2]] for key, found in subsets.items()},
        main_score="map_at_1000",
        sample_creation="found",
        annotations_creators="derived",
        dialect=[],
        domains=["Written"],
        task_subtypes=["Question answering"],
        license="mit",
        bibtex_citation="",
        date=("2024-01-01", "2024-12-31"),
    )
    return type(name, (AbsTaskRetrieval,), {"metadata": metadata, "load_data": load_data})


PAIRS = {f"{x}-{y}": (x, y, (x,) if x == y else (x, y)) for x in CODES for y in CODES}


def scores_of(chosen):
    found = mteb.evaluate(Letters(), [chosen()], cache=None, co2_tracker=False, show_progress_bar=False)
    return {entry["hf_subset"]: entry for entry in found.task_results[0].scores["test"]}


def test_every_pair_scores_as_mteb_does_and_the_pool_is_ours():
    chosen = task("Towns", PAIRS, grade=lambda n: 1 + n % 3)
    benchmark = load_mteb(chosen())
    result = evaluate(Letters(), benchmark).metrics()
    assert (benchmark.name, benchmark.languages) == ("mteb:Towns", ("de", "en", "fr"))
    assert (len(benchmark.queries), len(benchmark.candidates), len(benchmark.groups)) == (36, 54, 12)
    theirs = scores_of(chosen)
    assert len(theirs) == 9
    for subset, own in theirs.items():
        ours = result["pairs"][subset.replace("-", ">")]
        for measure in ("ndcg_at_10", "recall_at_1", "recall_at_10"):
            assert ours[measure.replace("_at_", "@")] == pytest.approx(own[measure], abs=1e-4), (subset, measure)
        assert ours["map"] == pytest.approx(own["map_at_1000"], abs=1e-4)
    assert result["multilingual"]["map"] > 0
    assert result["multilingual"]["rank_distance"] > 0  # passages are parallel: bias is measured


def test_monolingual_subsets_without_parallel_passages():
    chosen = task("Apart", {code: (code, code, (code,)) for code in CODES})
    benchmark = load_mteb(chosen())
    result = evaluate(Letters(), benchmark).metrics()
    assert len(benchmark.groups) == 36
    assert "rank_distance" not in result["multilingual"]
    for subset, own in scores_of(chosen).items():
        ours = result["per_language"][subset]["monolingual"]
        assert ours["ndcg@10"] == pytest.approx(own["ndcg_at_10"], abs=1e-4)
        assert ours["map"] == pytest.approx(own["map_at_1000"], abs=1e-4)


def test_questions_with_the_same_long_ids_are_translations():
    chosen = task("Same", {code: (code, code, (code,)) for code in CODES}, ids="56be4db0acb8001400a502e{}")
    benchmark = load_mteb(chosen(), langs=["de", "fr"])
    assert (benchmark.languages, len(benchmark.groups)) == (("de", "fr"), 12)
    assert len(benchmark.relevant(0)) == 4  # two in each language
    assert any("taken as translations" in note for note in benchmark.notes)


def test_the_languages_of_a_subset_may_stand_in_either_order():
    pytest.importorskip("py3langid")
    turned = {"a": ("de", "en", ("en", "de")), "b": ("en", "de", ("de", "en"))}
    for subsets in (turned, turned | {"c": ("de", "de", ("de",)), "d": ("en", "en", ("en",))}):
        benchmark = load_mteb(task("Turned", subsets)())
        asked = [benchmark.languages[number] for number in benchmark.queries.lang]
        assert all(QUESTIONS[lang][:5] == text[:5] for lang, text in zip(asked, benchmark.queries.texts, strict=True))
        assert not benchmark.notes


def test_the_command_takes_a_task_by_its_name(tmp_path, capsys):
    from isoglot.cli import run
    from isoglot.measuring.mteb_tasks import register

    register([task("Named", PAIRS)()])
    benchmark = load_mteb("Named")
    folder = tmp_path / "v"
    folder.mkdir()
    for what, side in (("queries", benchmark.queries), ("passages", benchmark.candidates)):
        np.save(folder / f"{what}.npy", Letters()(side.texts))
        (folder / f"{what}.ids").write_text("\n".join(side.ids))
    flags = ["--benchmark", "mteb:Named", "--vectors", str(folder), "-o", str(tmp_path / "o"), "--resamples", "0"]
    assert run(["evaluate", *flags, "--json"]) == 0
    record = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # JSON has no NaN
    assert record["multilingual"]["map"] == evaluate(Letters(), benchmark).metrics()["multilingual"]["map"]
    assert run(["evaluate", "--benchmark", "mteb:Nowhere", "-o", str(tmp_path / "p")]) == 2
    assert "mteb:Nowhere" in capsys.readouterr().err


def test_what_is_no_such_task():
    with pytest.raises(InputError, match="benchmark mteb:Nowhere"):
        load_mteb("Nowhere")
    with pytest.raises(InputError, match="expected retrieval of texts"):
        load_mteb("STS12")
    with pytest.raises(InputError, match="no es here; there are: de, en, fr"):
        load_mteb(task("Some", PAIRS)(), langs="es")
    with pytest.raises(InputError, match="no split 'dev'; there are: test"):
        load_mteb(task("Split", PAIRS)(), split="dev")
