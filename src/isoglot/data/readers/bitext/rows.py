"""Convert bitext to rows: each language's text is both query and passage, for cross-lingual batches only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from isoglot.data.readers.bitext.seen import Seen
from isoglot.data.readers.bitext.units import Notes, Unit
from isoglot.data.rows import Kind, Row, has_surrogate
from isoglot.languages.codes import known_code, normal_code

KIND: Kind = "bitext"
_ALONE, _NOT_KEPT = "segments without a translation", "segments in fewer than two of the languages to keep"


def bitext_rows(
    units: Iterable[Unit], notes: Notes, dataset: str = KIND, pivot: str = "en", langs: tuple[str, ...] = ()
) -> Iterator[Row]:
    """Stream one row per language of each unit; memory holds eight bytes per row.

    The group is derived from the text in the pivot language (or the unit's first language if the pivot is missing), so
    that translation memories of several language pairs join where they translate the same text. If a text has several
    translations into one language, the first is kept.

    Args:
        units: texts with their translations.
        notes: counts what is left out, and collects invalid language codes.
        dataset: name of the data set.
        pivot: the language that the units share.
        langs: keep only these languages; all if empty.

    Raises:
        InputError: `pivot` or one of `langs` is not a language code.
    """
    seen, pivot, langs = Seen(), normal_code(pivot), tuple(map(normal_code, langs))
    for unit in units:
        before = notes.left_out.total()
        texts = _texts(unit, langs, notes)
        if len(texts) < 2:
            if notes.left_out.total() == before:
                notes.left_out[_NOT_KEPT if langs else _ALONE] += 1
            continue
        origin = pivot if pivot in texts else next(iter(texts))
        group = hashlib.blake2b(f"{origin}\0{texts[origin]}".encode(), digest_size=8).hexdigest()
        new = {lang: seen.add(f"{group}\0{lang}") for lang in texts}
        if not any(fresh for lang, fresh in new.items() if lang != origin):
            notes.left_out["segments whose text repeats an earlier one"] += 1
            continue
        again = sum(not fresh for lang, fresh in new.items() if lang != origin)
        if again:
            notes.left_out["further translations of one text"] += again
        for lang, text in texts.items():
            if new[lang]:
                yield Row(group=group, lang=lang, query=text, passage=text, dataset=dataset, kind=KIND)


def _texts(unit: Unit, langs: tuple[str, ...], notes: Notes) -> dict[str, str]:
    """Return the unit's usable texts by language: with words, and different from those of the languages before."""
    texts: dict[str, str] = {}
    for given, raw in unit.texts.items():
        text, lang = " ".join(raw.split()), known_code(given)
        if lang is None:
            notes.problems.add(unit.file, unit.number, f"{given!r} is not a language code such as 'de'")
            continue
        if langs and lang not in langs:
            continue
        if lang in texts:
            notes.left_out["further texts in one language of a unit"] += 1
            continue
        if not any(map(str.isalpha, text)) or has_surrogate(text):
            notes.left_out["segments without words"] += 1
        elif text in texts.values():
            notes.left_out["translations that repeat the source"] += 1
        else:
            texts[lang] = text
    return texts
