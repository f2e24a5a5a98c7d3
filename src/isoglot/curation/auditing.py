"""Audit parallel rows before training: their problems, and what the batches drawn from them would contain."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind, check_whole
from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.curation.token_counts import Tokeniser
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.overlap import near_overlap, overlap
from isoglot.data.description import describe
from isoglot.data.prepared import Prepared, prepare
from isoglot.data.row_table import RowTable
from isoglot.languages.checking import in_language, in_script
from isoglot.languages.detection import identifier_if_there
from isoglot.measuring.inputs import opened_benchmark
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler

_EXAMPLES = 5
_TRUNCATED = 0.05  # report truncated passages above this share


def audit(
    rows: Any,
    *,
    sampling: Sampling | None = None,
    batch_size: int = 32,
    batches: int = 1000,
    seed: int = 0,
    benchmark: Benchmark | str | Path | None = None,
    near: bool = True,
    tokeniser: Tokeniser | None = None,
) -> dict[str, Any]:
    """Check rows; the last section, `problems`, summarises what needs attention.

    Args:
        rows: prepared rows, or anything that `isoglot.prepare` takes.
        sampling: the regime to train with; hybrid by default.
        batch_size: pairs in one global batch.
        batches: number of batches to draw in the dry run.
        seed: seed of the dry run.
        benchmark: benchmark whose texts must not be trained on, or a name or path that `isoglot.load_benchmark` takes.
        near: also look for near duplicates of the benchmark (needs datasketch).
        tokeniser: tokenizer of the encoder to train, from `open_tokeniser`; without it, lengths are not checked.

    Returns:
        Facts by section: `coverage`, `unusable`, `collisions`, `made`, `writing`, `tokens`, `overlap`, `batches` and
        `problems` (each `{"kind", "count", "message"}`). Sections that were not requested are None.

    Raises:
        InputError: the rows or the benchmark cannot be read, or an argument has the wrong type.
    """
    if sampling is not None:
        check_kind("sampling", sampling, Sampling, "a Sampling of isoglot.training")
    if tokeniser is not None:
        check_kind("tokeniser", tokeniser, Tokeniser, "a Tokeniser, from isoglot.curation.open_tokeniser")
    check_whole("batch_size", batch_size, 1)
    check_whole("batches", batches, 1)
    rows, chosen = prepare(rows), sampling or Sampling()
    against = None if benchmark is None else opened_benchmark(benchmark)
    facts: dict[str, Any] = {
        "coverage": describe(rows),
        "unusable": _unusable(rows, batch_size),
        "collisions": _collisions(rows, batch_size),
        "made": _made(rows),
        "writing": _writing(rows),
        "tokens": None if tokeniser is None else _tokens(rows, tokeniser, chosen.pivot),
        "overlap": None if against is None else _overlap(rows, against, near),
        "batches": _batches(rows, chosen, batch_size, batches, seed),
    }
    return {**facts, "problems": _problems(facts, batch_size)}


def _unusable(rows: Prepared, batch_size: int) -> dict[str, Any]:
    """Find groups in one language only, and languages and language pairs with too few passages to fill a batch."""
    table = rows.table
    group, lang = np.asarray(table.group[table.cells]), np.asarray(table.lang[table.cells])
    alone = np.bincount(group)[group] == 1
    counts = np.bincount(lang[alone], minlength=len(table.languages))
    # A batch comes from one data set, so the largest one decides.
    sizes = np.array(table.pair_components)
    # Bitext has no same-language pairs, as a text would be its own query.
    sizes[~table.same_language] *= 1 - np.eye(len(table.languages), dtype=sizes.dtype)
    largest = sizes.max(axis=0)
    codes = table.languages
    asked = _asked(table)
    return {
        "groups_in_one_language": int(alone.sum()),
        "by_language": {code: int(count) for code, count in zip(codes, counts, strict=True) if count},
        "languages_below_batch": [
            code for number, code in enumerate(codes) if asked[number] and largest[number, number] < batch_size
        ],
        "languages_in_bitext_only": [code for number, code in enumerate(codes) if not asked[number]],
        "pairs_below_batch": [
            f"{x}>{y}"
            for i, x in enumerate(codes)
            for j, y in enumerate(codes)
            if i != j and largest[i, j] < batch_size
        ],
    }


def _asked(table: RowTable) -> NDArray[np.bool_]:
    """Return (languages,) whether each language has rows with questions, not only bitext."""
    questions = table.same_language[np.asarray(table.dataset)]
    return np.bincount(np.asarray(table.lang)[questions], minlength=len(table.languages)) > 0


def _collisions(rows: Prepared, batch_size: int) -> dict[str, Any]:
    """Count the pairs that the component rule keeps out of batches, and how many a random batch would contain."""
    component, group = np.asarray(rows.table.component), np.asarray(rows.table.group)
    of_group = component[np.unique(group, return_index=True)[1]]

    def expected(members: Any) -> float:
        sizes = np.bincount(members).astype(np.float64)
        total = len(members)
        chance = (sizes * (sizes - 1)).sum() / (total * (total - 1)) if total > 1 else 0.0
        return float(batch_size * (batch_size - 1) * chance)

    shared = np.bincount(of_group)
    return {
        "groups_sharing_a_passage": int(shared[shared > 1].sum()),
        "colliding_group_pairs": int((shared * (shared - 1) // 2).sum()),
        "false_negatives_a_batch_of_random_rows": expected(component),
        "false_negatives_a_batch_of_random_groups": expected(of_group),
    }


def _made(rows: Prepared) -> dict[str, dict[str, dict[str, int]]]:
    """Count the rows in each language by the model that translated or generated them."""
    found: dict[str, dict[str, Counter[str]]] = {"translated_by": {}, "generated_by": {}}
    for batch in rows.batches(["lang", *found]):
        columns = (column.to_pylist() for column in batch.columns)
        for lang, *makers in zip(*columns, strict=True):
            for field, maker in zip(found, makers, strict=True):
                if maker:
                    found[field].setdefault(maker, Counter())[lang] += 1
    return {field: {maker: dict(counts) for maker, counts in own.items()} for field, own in found.items()}


def _writing(rows: Prepared) -> dict[str, Any]:
    """Find rows whose query or passage is not in the script of the given language, or clearly in another language."""
    identify = identifier_if_there()
    script: Counter[str] = Counter()
    other: Counter[str] = Counter()
    examples: list[dict[str, str]] = []
    entries = chain.from_iterable(
        zip(*(column.to_pylist() for column in batch.columns), strict=True)
        for batch in rows.batches(["group", "lang", "query", "passage"])
    )
    with Progress("checking languages", len(rows)) as progress:
        for group, lang, query, passage in entries:
            progress.advance()
            for field, text in (("query", query), ("passage", passage)):
                if not in_script(text, lang):
                    found = "script"
                    script[lang] += 1
                elif identify is not None and not in_language(text, lang, identify):
                    found = "language"
                    other[lang] += 1
                else:
                    continue
                if len(examples) < _EXAMPLES:
                    entry = {"group": group, "lang": lang, "field": field, "wrong": found, "text": text[:80]}
                    examples.append(entry)
                break
    return {
        "rows_in_another_script": dict(script),
        "rows_in_another_language": dict(other) if identify is not None else None,
        "examples": examples,
    }


def _tokens(rows: Prepared, tokeniser: Tokeniser, pivot: str) -> dict[str, Any]:
    """Count tokens for each language, also relative to the same groups in the pivot, and texts to be truncated."""
    table = rows.table
    lang, group = np.asarray(table.lang), np.asarray(table.group)
    codes = table.languages
    reference = pivot if pivot in codes else codes[int(np.bincount(lang, minlength=len(codes)).argmax())]
    per_row: dict[str, Any] = {}
    unknown = np.zeros(len(codes), dtype=np.int64)
    for role, texts, count in (
        ("query", rows.column("query"), tokeniser.queries),
        ("passage", rows.passages(), tokeniser.passages),
    ):
        lengths = np.zeros(len(rows), dtype=np.int64)
        for number in range(len(codes)):
            own = np.flatnonzero(lang == number)
            counted, missing = count([texts[row] for row in own])
            lengths[own] = counted
            unknown[number] += missing
        per_row[role] = lengths
    characters = np.array([len(text) for text in rows.passages()])
    of_reference = np.full(table.groups, -1, dtype=np.int64)
    mine = lang == codes.index(reference)
    of_reference[group[mine]] = per_row["passage"][mine]
    languages = {}
    for number, code in enumerate(codes):
        own = lang == number
        both = own & (of_reference[group] > 0)
        total = int(per_row["passage"][own].sum() + per_row["query"][own].sum())
        languages[code] = {
            "tokens_a_passage": float(per_row["passage"][own].mean()),
            "tokens_a_100_characters": float(100 * per_row["passage"][own].sum() / max(1, characters[own].sum())),
            "premium": float(per_row["passage"][both].sum() / of_reference[group[both]].sum()) if both.any() else None,
            "unknown": float(unknown[number] / max(1, total)),
            "cut_queries": int((per_row["query"][own] > tokeniser.query_length).sum()),
            "cut_passages": int((per_row["passage"][own] > tokeniser.passage_length).sum()),
        }
    return {
        "reference": reference,
        "query_length": tokeniser.query_length,
        "passage_length": tokeniser.passage_length,
        "languages": languages,
    }


def _overlap(rows: Prepared, benchmark: Benchmark, near: bool) -> dict[str, Any]:
    return {
        "benchmark": benchmark.name,
        "exact": asdict(overlap(rows, benchmark)),
        "near": asdict(near_overlap(rows, benchmark)) if near else None,
    }


def _batches(rows: Prepared, sampling: Sampling, batch_size: int, batches: int, seed: int) -> dict[str, Any]:
    """Draw the first batches and count what they contain."""
    table = rows.table
    try:
        sampler = HybridBatchSampler(table, sampling, batch_size, steps=batches, seed=seed)
    except InputError as error:
        return {"regime": sampling.name, "error": str(error)}
    kinds: Counter[str] = Counter()
    datasets: Counter[str] = Counter()
    pairs = np.zeros((len(table.languages),) * 2, dtype=np.int64)
    seen_groups = np.zeros(table.groups, dtype=bool)
    seen_rows = np.zeros(len(rows), dtype=bool)
    lang, group = np.asarray(table.lang), np.asarray(table.group)
    with Progress("drawing batches", batches) as progress:
        for batch in sampler.batches():
            kinds[batch.kind] += 1
            datasets[batch.dataset] += 1
            np.add.at(pairs, (lang[batch.queries], lang[batch.passages]), 1)
            seen_groups[group[batch.queries]] = True
            seen_rows[batch.queries] = seen_rows[batch.passages] = True
            progress.advance()
    codes = table.languages
    return {
        "regime": sampling.name,
        "batches": batches,
        "batch_size": batch_size,
        "kinds": dict(kinds.most_common()),
        "datasets": dict(datasets.most_common()),
        "query_languages": {code: int(pairs[number].sum()) for number, code in enumerate(codes)},
        "passage_languages": {code: int(pairs[:, number].sum()) for number, code in enumerate(codes)},
        "pairs": {
            f"{x}>{y}": int(pairs[i, j]) for i, x in enumerate(codes) for j, y in enumerate(codes) if pairs[i, j]
        },
        "groups_seen": int(seen_groups.sum()),
        "rows_seen": int(seen_rows.sum()),
    }


def _problems(facts: dict[str, Any], batch_size: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def note(kind: str, count: int, message: str) -> None:
        if count:
            found.append({"kind": kind, "count": count, "message": message})

    unusable, writing = facts["unusable"], facts["writing"]
    note("batches", int("error" in facts["batches"]), facts["batches"].get("error", ""))
    note(
        "one language",
        unusable["groups_in_one_language"],
        "groups exist in one language only: no cross-lingual pair can use them",
    )
    small = unusable["languages_below_batch"]
    note("languages", len(small), f"languages cannot fill a batch of {batch_size}: {', '.join(small)}")
    pairs = unusable["pairs_below_batch"]
    shown = ", ".join(pairs[:8]) + (", ..." if len(pairs) > 8 else "")
    note("pairs", len(pairs), f"language pairs cannot fill a batch of {batch_size}: {shown}")
    for kind, key in (("script", "rows_in_another_script"), ("language", "rows_in_another_language")):
        counts = writing[key] or {}
        by_language = ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
        note(kind, sum(counts.values()), f"rows whose text is in another {kind} than claimed: {by_language}")
    if facts["tokens"]:
        languages = facts["tokens"]["languages"]
        for role in ("queries", "passages"):
            cut = sum(own[f"cut_{role}"] for own in languages.values())
            least = _TRUNCATED * facts["coverage"]["rows"] if role == "passages" else 0
            length = facts["tokens"]["query_length" if role == "queries" else "passage_length"]
            note("length", cut if cut > least else 0, f"{role} are longer than {length} tokens and will be cut")
    if facts["overlap"]:
        name = facts["overlap"]["benchmark"]
        for kind in ("exact", "near"):
            part = facts["overlap"][kind]
            if part:
                total = part["groups"] + part["queries"] + part["passages"]
                what = "stand in" if kind == "exact" else "nearly stand in"
                parts = ", ".join(f"{part[key]} {key}" for key in ("groups", "queries", "passages") if part[key])
                note(f"{kind} overlap", total, f"texts or groups {what} the benchmark {name}: {parts}")
    return found
