"""Evaluate monolingual, cross-lingual and multilingual (pooled) retrieval on one benchmark, by exact search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from isoglot.core.arguments import check_choice, check_kind, check_number
from isoglot.core.errors import InputError
from isoglot.core.run_record import read_run as read_record
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.debias import Debias
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Encoder, Model, Vectors
from isoglot.encoders.model_names import EMBEDDED
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.languages.table import given_codes
from isoglot.measuring.balanced import BALANCED_NOTE, balance, require_balance
from isoglot.measuring.benchmark_vectors import FEEDBACK_NOTE, corrected, encode_sides
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.inputs import VectorPair, given_vectors, holds_vectors, is_pair, opened_benchmark
from isoglot.measuring.late_interaction import LATE_NOTE, late_matrix, require_late
from isoglot.measuring.matrices import cosine_matrix
from isoglot.measuring.scoring import score, score_matrix


def evaluate(
    model: Model | str | Path | VectorPair,
    benchmark: Benchmark | str | Path,
    *,
    data_dir: Path | str | None = None,
    langs: str | Sequence[str] | None = None,
    name: str | None = None,
    length: int | None = None,
    precision: Precision = "auto",
    devices: str | Sequence[str | int] = (),
    debias: Debias | None = None,
    feedback: bool = False,
    late: bool = False,
    in_context: bool = False,
    fair: Literal["none", "balanced"] = "none",
    trained: str | Sequence[str] | None = None,
    relevant_from: float = 1,
) -> Evaluation:
    """Encode a benchmark once and score every setting, or score precomputed vectors.

    Args:
        model: a Sentence Transformer, a model that `isoglot.load` accepts, `endpoint:URL#MODEL`, or any function that
            takes texts and their role (`query` or `passage`) and returns an array with one vector per text. Or
            precomputed vectors, which are scaled to unit length: a folder written by `isoglot encode`, or
            `(queries, passages)` in memory. Each of the two is an array (n, d) in the order of
            `benchmark.queries.ids` and `benchmark.candidates.ids`, or a dict with one vector (d,) per id.
        benchmark: queries, candidates and relevance; or a name or path that `load_benchmark` opens.
        data_dir: folder of a benchmark given by name.
        langs: languages of a benchmark given by name, as a sequence or a comma-separated string; all when None.
        name: name of the model in reports; its own name when None.
        length: queries and candidates are truncated to this many tokens; the model's preset (usually 192) when None.
        precision: `auto`, `bf16` or `fp32`.
        devices: several devices, one process each: `0,1` (CUDA devices), or `cpu,cpu`; a script then needs its main
            code under `if __name__ == "__main__":`.
        debias: a bias correction, applied to query and passage vectors.
        feedback: pseudo-relevance feedback, as in `Searcher.search`: rank with query vectors moved towards their best
            passages in all languages. In every setting the feedback comes from the whole pool.
        late: late interaction: each token of a query is compared with the nearest token of a passage, and the result is
            mixed with the cosine of the whole texts (see `isoglot.encoders.late_interaction`). Not for endpoints,
            functions, precomputed vectors or several devices.
        in_context: mix each candidate's vector with the vector it has within its context, such as a sentence in
            its paragraph (see `isoglot.encoders.in_context`). Needs a benchmark with contexts (XQuAD-R, MLQA-R); not
            for endpoints, functions, precomputed vectors or several devices.
        fair: `balanced` subtracts from each score the level of the candidate's language for this query, so that no
            language is preferred in the pool (see `isoglot.encoders.levels`); within one language nothing changes.
        trained: languages the model was trained on, as a sequence or a comma-separated string; by default read from
            the `run.json` of the model's folder, if there is one.
        relevant_from: the lowest grade that counts as relevant in binary measures (all but nDCG).

    Raises:
        InputError: no such model or benchmark, a function that does not return one vector per text, vectors that do not
            fit the benchmark or are not finite, or a length or precision that the model does not support.

    Example:
        Vectors that encode little but the language retrieve passages in the query's language, whatever their content.

        >>> import numpy as np
        >>> from isoglot import Benchmark, evaluate
        >>> benchmark = Benchmark.from_dicts(
        ...     queries={"q1": "de: 1", "q2": "en: 1"},
        ...     passages={"p1": "de: 1", "p2": "en: 1", "p3": "de: 2", "p4": "en: 2"},
        ...     qrels={"q1": {"p1": 1, "p2": 1}, "q2": {"p1": 1, "p2": 1}},
        ...     languages={"q1": "de", "q2": "en", "p1": "de", "p2": "en", "p3": "de", "p4": "en"},
        ...     groups={"q1": "one", "q2": "one"},
        ... )
        >>> def embed(texts, role):
        ...     return np.array([[9 * text.startswith("de"), 9 * text.startswith("en"), "1" in text] for text in texts])
        >>> result = evaluate(embed, benchmark)
        >>> result.macro("monolingual", "map"), result.macro("cross_lingual", "map")
        (1.0, 1.0)
        >>> round(result.macro("multilingual", "map"), 4)  # found first and third: (1/1 + 2/3) / 2
        0.8333

        The same from vectors:

        >>> queries = embed(benchmark.queries.texts, "query")
        >>> passages = dict(zip(benchmark.candidates.ids, embed(benchmark.candidates.texts, "passage")))
        >>> round(evaluate((queries, passages), benchmark).macro("multilingual", "map"), 4)
        0.8333
    """
    check_kind("feedback", feedback, bool, "True or False")
    check_kind("late", late, bool, "True or False")
    check_kind("in_context", in_context, bool, "True or False")
    check_kind("fair", fair, str, "none or balanced")
    check_choice("fair", fair, ("none", "balanced"))
    if debias is not None:
        check_kind("debias", debias, Debias, "a correction, such as isoglot.encoders.load_debias opens")
    check_number("relevant_from", relevant_from, "a grade of 1 or more", lambda grade: grade >= 1)
    seen = given_codes(trained, "trained")
    data, options = opened_benchmark(benchmark, data_dir, langs), ModelOptions(length=length, precision=precision)
    if fair == "balanced":
        require_balance(data)
    place = Path(model) if isinstance(model, str | Path) and str(model) != EMBEDDED else None
    ready = place if place is not None and holds_vectors(place) else model if is_pair(model) else None
    sides = embedder = None
    if ready is not None:
        if devices or late or in_context or options != ModelOptions():
            raise InputError(
                "length, precision, devices, late, in_context: are only for encoding; leave them out with given vectors"
            )
        queries, candidates = given_vectors(ready, data)
        called = "vectors" if place is None else str(place)
    else:
        if not isinstance(model, str | Path) and not callable(model):
            raise InputError(
                f"model: given as {type(model).__name__}; expected a Sentence Transformer, a name or folder, a "
                "function from (texts, role) to an array of one vector per text, or vectors as (queries, passages)"
            )
        embedder = open_embedder(model, options, devices=devices)
        if late:
            require_late(embedder, data)
        sides, called = encode_sides(embedder, data, in_context=in_context), embedder.name
        queries, candidates = sides.queries.vectors, sides.candidates.vectors
        seen = seen or (trained_languages(str(place)) if place is not None else None)
    queries, candidates = corrected(
        data, queries, candidates, debias, feedback=feedback, within=None if sides is None else sides.within
    )
    result = scored(
        data,
        queries,
        candidates,
        late_of=embedder if late else None,
        feedback=feedback,
        balanced=fair == "balanced",
        name=name or called,
        trained=seen,
        relevant_from=relevant_from,
    )
    return result if sides is None else sides.add_to(result)


def scored(
    data: Benchmark,
    queries: Vectors,
    candidates: Vectors,
    *,
    late_of: Encoder | None,
    feedback: bool,
    balanced: bool,
    **about: Any,
) -> Evaluation:
    """Score vectors, optionally with late interaction and balancing, and add notes on the options used.

    Args:
        data: the benchmark.
        queries: (n, d), as returned by `corrected`.
        candidates: (m, d), likewise.
        late_of: the encoder for late interaction; no late interaction when None.
        feedback: whether the queries were moved towards their best passages.
        balanced: whether to subtract each language's level from the scores.
        about: `name`, `trained` and `relevant_from`, passed to `score`.
    """
    if late_of is None and not balanced:
        result = score(data, queries, candidates, **about)
    else:
        scores = (
            cosine_matrix(queries, candidates)
            if late_of is None
            else late_matrix(late_of, data, queries, candidates, drawn=feedback)
        )
        if balanced:
            balance(data, scores)
        result = score_matrix(data, scores, **about)
    for note, does in ((LATE_NOTE, late_of is not None), (BALANCED_NOTE, balanced), (FEEDBACK_NOTE, feedback)):
        result = result.with_note(note) if does else result
    return result


def trained_languages(model: str) -> tuple[str, ...] | None:
    """The training languages recorded in a model folder's `run.json`; None if not recorded."""
    record = read_record(Path(model)) if Path(model).is_dir() else None
    languages = record.get("languages") if record and record.get("verb") in ("train", "average") else None
    return tuple(map(str, languages)) if isinstance(languages, list) else None
