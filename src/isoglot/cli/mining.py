"""`isoglot data mine` and `isoglot data score`: mine hard negatives, and score rows with a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from isoglot.cli.encoders import CountingTokens, Reporting, open_encoder
from isoglot.cli.help_page import MODEL
from isoglot.cli.options import OutputFile, Switch
from isoglot.cli.row_files import new_rows
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows
from isoglot.encoders.options import ModelOptions


def mine(
    *rows: Path,
    output: OutputFile,
    source: Annotated[Literal["model", "context"], Parameter(name="--from")] = "model",
    model: str = "embedded",
    negatives: int = 3,
    language: Literal["query", "passage", "any", "mix"] = "query",
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    pick: Literal["top", "random"] = "top",
    seed: int = 0,
    langs: str | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    replace: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Add hard negatives to rows: what an encoder ranks high, or (--from context) the passage's neighbours.

    A passage of the row's group or component, in any language, or a near duplicate of one is never a negative.

    Args:
        rows: Row files, or one prepared folder.
        output: Rows file to write (.jsonl or .jsonl.gz).
        source: model searches all passages; context takes other sentences of each row's own context, without a model.
        model: embedded, a Sentence Transformers folder, or a Hub id (id@revision).
        negatives: Most negatives per row.
        language: Where negatives come from. query: the row's language, searched with the row's query; passage: the
            row's language, searched with the group's queries in other languages; any: all languages; mix: the row's
            language and the others in turn.
        range_min: Skip this many of the best candidates.
        range_max: Look no further than this rank; by default ten candidates for each negative.
        max_score: Skip candidates with a higher cosine.
        min_score: Skip candidates with a lower cosine.
        absolute_margin: A negative's cosine must be this much below that of the row's own passage.
        relative_margin: The same margin as a share of the cosine of the row's own passage, such as 0.05.
        pick: Among the candidates that pass, take the top ones or random ones.
        seed: Seed of random picks, and of the choice of sentences with --from context.
        langs: Comma-separated languages to keep.
        options: How the model is opened.
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        replace: Drop the negatives that rows have instead of adding to them.
        overwrite: Replace an existing file.
    """
    from isoglot.curation.mining import MineSettings
    from isoglot.curation.rewriting import rows_of, with_negatives
    from isoglot.data.rows import Row, write_rows

    target = new_rows(output, overwrite)
    settings = MineSettings(
        negatives=negatives,
        language=language,
        range_min=range_min,
        range_max=range_max,
        max_score=max_score,
        min_score=min_score,
        absolute_margin=absolute_margin,
        relative_margin=relative_margin,
        pick=pick,
        seed=seed,
    )
    if source == "context" and (
        settings != MineSettings(negatives, seed=seed) or (model, devices) != ("embedded", None)
    ):
        raise InputError(
            "--from context takes --negatives, --seed and --replace; models, ranges, scores, margins, --language and "
            "--pick belong to --from model"
        )
    prepared = open_rows(rows, langs=langs)
    notes = ""
    if source == "context":
        from isoglot.data.paragraph_negatives import context_negatives

        found = context_negatives(prepared, negatives, seed=seed)
    else:
        from isoglot.curation.mining import mine as search

        mined = search(Reporting(open_encoder(model, options, devices)), prepared, settings)
        found = mined.negatives
        skipped = ", ".join(f"{count} for {reason}" for reason, count in sorted(mined.skipped.items()))
        notes = f"; candidates skipped: {skipped}" if skipped else ""
    added: list[int] = []

    def counted() -> Iterator[Row]:
        for old, new in zip(rows_of(prepared), with_negatives(prepared, found, replace_old=replace), strict=True):
            added.append(len(new.negatives) - (0 if replace else len(set(old.negatives))))
            yield new

    count = write_rows(counted(), target)
    short = sum(own < negatives for own in added)
    print(f"{sum(added)} negatives added to {count} rows in {output} ({short} rows got fewer than {negatives}){notes}")


def score(
    *rows: Path,
    output: OutputFile,
    cross_encoder: str | None = None,
    model: str | None = None,
    late: Switch = False,
    langs: str | None = None,
    batch_size: int = 32,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    overwrite: Switch = False,
) -> None:
    """Write a teacher's scores into rows: the passage's first, then those of the negatives.

    Args:
        rows: Row files, or one prepared folder.
        output: Rows file to write (.jsonl or .jsonl.gz).
        cross_encoder: A cross-encoder's folder or Hub id (id@revision): scores are its logits.
        model: An encoder's folder or Hub id instead: scores are cosines.
        late: Also compare the encoder's token vectors (late interaction); so the student itself can be the teacher.
        langs: Comma-separated languages to keep.
        batch_size: Pairs in a batch of the cross-encoder.
        options: How the model is opened; a cross-encoder takes --length (of a pair), --device and --trust-remote-code.
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        overwrite: Replace an existing file.
    """
    from isoglot.curation.rewriting import with_scores
    from isoglot.data.rows import write_rows

    if (cross_encoder is None) == (model is None):
        raise InputError("give one teacher: --cross-encoder NAME or --model NAME")
    if late and model is None:
        raise InputError("--late compares the tokens of an encoder; it goes with --model, not with --cross-encoder")
    target = new_rows(output, overwrite)

    from isoglot.curation import teacher
    from isoglot.encoders.cross_encoder import load_cross_encoder
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.encoders.token_vectors import with_tokens

    quiet_libraries()
    opened = options or ModelOptions()
    prepared = open_rows(rows, langs=langs)
    if cross_encoder is not None:
        judge = load_cross_encoder(
            cross_encoder, device=opened.device, length=opened.length, trust_remote_code=opened.trust_remote_code
        )
        scores = teacher.score_with_cross_encoder(prepared, judge, batch_size=batch_size)
    else:
        encoder = open_encoder(str(model), options, devices)
        if late:
            counting = CountingTokens(with_tokens(encoder))
            scores = teacher.score_with_late_interaction(prepared, counting)
            counting.say()
        else:
            scores = teacher.score_with_encoder(prepared, Reporting(encoder))
    count = write_rows(with_scores(prepared, scores), target)
    print(f"{sum(map(len, scores))} scores for {count} rows in {output}")
