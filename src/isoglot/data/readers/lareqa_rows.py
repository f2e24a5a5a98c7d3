"""Convert LAReQA files to parallel rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.lareqa import PUBLISHED, read_lareqa
from isoglot.data.near_duplicates import normalise
from isoglot.data.paragraph_negatives import pick_sentences, usable_sentences
from isoglot.data.rows import Row


def lareqa_rows(
    folder: Path,
    *,
    langs: str | Iterable[str] | None = None,
    dataset: str | None = None,
    context_negatives: int = 0,
    seed: int = 0,
) -> Iterator[Row]:
    """Convert LAReQA files to parallel rows: question, gold sentence as passage, paragraph as context.

    Args:
        folder: contains `{lang}.json` files.
        langs: codes to keep: several, or one text with commas.
        dataset: name of the data set; the folder's name if None.
        context_negatives: maximum number of negatives per row, sampled from the other sentences of the paragraph that
            answer no question in the file.
        seed: seed of that sample.

    Raises:
        InputError: as for `read_lareqa`, or `context_negatives` is negative.
    """
    if context_negatives < 0:
        raise InputError(f"context_negatives {context_negatives}: expected 0 or more")
    label = dataset or folder.resolve().name
    for lang, candidates, questions in read_lareqa(folder, langs, published=PUBLISHED.get(label, {})):
        paragraphs: dict[tuple[int, int], list[str]] = {}
        golds: dict[tuple[int, int], list[str]] = {}
        passages: set[str] = set()
        if context_negatives:
            passages = {normalise(question.gold.text) for question in questions}
            for sentence in candidates:
                paragraphs.setdefault((sentence.article, sentence.paragraph), []).append(sentence.text)
            for question in questions:
                golds.setdefault((question.gold.article, question.gold.paragraph), []).append(question.gold.text)
        usable = {place: usable_sentences(paragraphs.get(place, ()), own, passages) for place, own in golds.items()}
        for question in questions:
            gold = question.gold
            sentences = usable.get((gold.article, gold.paragraph), {})
            key = f"{label}\0{question.group}\0{lang}"
            negatives = pick_sentences(sentences, context_negatives, key=key, seed=seed)
            yield Row(question.group, lang, question.text, gold.text, label, context=gold.context, negatives=negatives)
