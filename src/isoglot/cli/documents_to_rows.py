"""`isoglot data from-docs`: translated documentation as parallel rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from isoglot.cli.options import Length, Names, OutputFile, Switch, new_file
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.curation.translated_pages.building import DocsRows, Outcome


def from_docs(
    folder: Path,
    /,
    *,
    output: OutputFile,
    layout: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = (),
    pivot: str = "en",
    langs: Names = (),
    query: Literal["heading", "first-sentence"] = "heading",
    align_with: str | None = None,
    threshold: float | None = None,
    model: str = "embedded",
    length: Length | None = None,
    dataset: str = "docs",
    split: float | None = None,
    test_output: Path | None = None,
    seed: int = 0,
    report: Path | None = None,
    dry_run: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Turn documentation in several languages into parallel rows: a section's heading asks, its prose answers.

    Sections of translations are matched by explicit identifiers, else by the order and depth of headings, else (with
    --align-with) by an encoder. What is left out is counted; --report lists it.

    Args:
        folder: Holds Markdown, reStructuredText or HTML in several languages.
        output: Rows file to write (.jsonl or .jsonl.gz); with --split its name gets .train and .test.
        layout: Where the languages are, such as 'docs/{lang}/{path}', '{path}.{lang}.md', or
            'i18n/{lang}/{path}|docs/{path}' where the pivot's pages stand elsewhere; may be repeated; guessed (and
            printed) by default.
        pivot: Language of the originals.
        langs: Comma-separated languages to keep.
        query: heading (with the page's title) or the section's first sentence.
        align_with: Encoder that matches sections that identifiers and headings cannot: embedded, a folder, a Hub id.
        threshold: How far the similarity of two sections must stand above the page's average (cosines, 0.03).
        model: Encoder whose tokenizer cuts passages at sentences.
        length: Tokens of a passage; what training of that encoder keeps by default.
        dataset: Name of the data set.
        split: Share of the pages held out as a test set, such as 0.2.
        test_output: File of the held-out pages' rows.
        seed: Of the split.
        report: Write what became of every section (JSONL).
        dry_run: Only print what would be written.
        overwrite: Replace existing files.
    """
    from isoglot.core.files import atomic_write
    from isoglot.curation.translated_pages.aligning import THRESHOLD
    from isoglot.curation.translated_pages.building import rows_from_docs
    from isoglot.curation.translated_pages.layouts import numbered, parse_layout
    from isoglot.curation.translated_pages.rows import DocsSettings
    from isoglot.curation.translated_pages.splitting import split_pages
    from isoglot.data.rows import write_rows
    from isoglot.languages.codes import normal_code

    if test_output is not None and split is None:
        raise InputError("--test-output wants --split, such as --split 0.2")
    pivot, langs = normal_code(pivot), tuple(map(normal_code, langs))
    train_file, test_file = _files(output, split, test_output)
    if not dry_run:
        for path in (train_file, test_file, report):
            if path is not None:
                new_file(path, overwrite)
    settings = DocsSettings(
        layouts=numbered([parse_layout(text) for text in layout]),
        pivot=pivot,
        langs=langs,
        query=query,
        dataset=dataset,
        threshold=THRESHOLD if threshold is None else threshold,
    )
    cut, embed = _encoders(model, length, align_with)
    found = rows_from_docs(folder, settings, cut=cut, embed=embed)
    parts = [found.rows] if split is None else split_pages(found.rows, found.pages, split, seed)
    _print(found, guessed=not layout)
    if report is not None and not dry_run:
        with atomic_write(report) as temporary:
            temporary.write_text("".join(_lines(found.outcomes)), encoding="utf-8")
    for rows, path in zip(parts, (train_file, test_file), strict=False):
        groups, count = len({row.group for row in rows}), len({row.lang for row in rows})
        if path is not None and not dry_run:
            write_rows(rows, path)
        print(f"{len(rows)} rows, {groups} groups, {count} languages {'would stand in' if dry_run else 'in'} {path}")


def _files(output: Path, split: float | None, test_output: Path | None) -> tuple[Path, Path | None]:
    if split is None:
        return output, None
    if test_output is not None:
        return output, test_output
    ending = "".join(output.suffixes[-2:]) if output.suffix == ".gz" else output.suffix
    stem = output.name.removesuffix(ending)
    return output.with_name(f"{stem}.train{ending}"), output.with_name(f"{stem}.test{ending}")


def _encoders(model: str, length: int | None, align_with: str | None):  # type: ignore[no-untyped-def]
    from isoglot.curation.translated_pages.passages import cutter
    from isoglot.encoders.encoding import encode
    from isoglot.encoders.loading import load, quiet_libraries

    quiet_libraries()
    loaded = load(model)
    embed = None
    if align_with is not None:
        aligner = loaded if align_with == model else load(align_with)

        def embed(texts):  # type: ignore[no-untyped-def]
            return encode(aligner, texts, "passage").vectors

    return cutter(loaded, length), embed


def _print(found: DocsRows, *, guessed: bool) -> None:
    for layout in found.layouts:
        print(f"layout: {layout}{' (guessed; say --layout to change it)' if guessed else ''}")
    aligned, left_out = found.counts()
    ways = ", ".join(f"{count} by {how}" for how, count in aligned.most_common() if how != "pivot")
    print(f"sections aligned: {aligned['pivot']} originals, {ways or 'no translations'}")
    for reason, count in left_out.most_common():
        print(f"left out: {count} ({reason})")


def _lines(outcomes: Iterable[Outcome]) -> Iterable[str]:
    for entry in outcomes:
        record = {key: value for key, value in entry._asdict().items() if value}
        yield json.dumps(record, ensure_ascii=False) + "\n"
