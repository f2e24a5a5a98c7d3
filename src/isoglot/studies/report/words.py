"""Format figures and findings in words, shared by Markdown, HTML, LaTeX and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isoglot.core.version import __version__
from isoglot.languages.table import language
from isoglot.measuring.bootstrap import FEWEST_GROUPS, Interval
from isoglot.measuring.comparing import Comparison, notes_of
from isoglot.studies.report.study_facts import (
    TITLES,
    StudyReport,
    detectable,
    has_direction,
    in_ranks,
    lower_is_better,
    unit,
)


def figure(value: float, form: str = ".3f") -> str:
    """A number, or `-` for NaN."""
    return "-" if math.isnan(value) else format(value, form)


def ranks(*numbers: float) -> str:
    """Number format of ranks: one decimal if any is below 10, lest a significant difference be shown as 0."""
    return ".1f" if min(map(abs, numbers)) < 10 else ".0f"


def level(found: Interval | None, measure: str) -> str:
    """A mean with its interval, such as `0.587 [0.529, 0.646]`; ranks are formatted by `ranks`."""
    if found is None:
        return "-"
    form = ranks(found.estimate, found.low, found.high) if in_ranks(measure) else ".3f"
    return f"{found.estimate:{form}} [{found.low:{form}}, {found.high:{form}}]"


def difference(found: Comparison | None, *, star: bool = True) -> str:
    """A difference with its interval, in points or in ranks, and a star if it is significant."""
    if found is None:
        return "-"
    scale = unit(found.measure)
    form = f"+z{ranks(found.difference, found.low, found.high)}" if in_ranks(found.measure) else "+z.1f"
    mark = "*" if star and found.significant else ""
    return f"{scale * found.difference:{form}} [{scale * found.low:{form}}, {scale * found.high:{form}}]{mark}"


def verdict(found: Comparison) -> str:
    """`is significantly better`, `is significantly worse` or `shows no significant difference`.

    Of measures that are neither better high nor low: `is significantly higher` or `lower`.
    """
    if not found.significant:
        return "shows no significant difference"
    if not has_direction(found.measure):
        return f"is significantly {'higher' if found.difference > 0 else 'lower'}"
    better = (found.difference < 0) == lower_is_better(found.measure)
    return f"is significantly {'better' if better else 'worse'}"


def title(study: StudyReport) -> str:
    """The report's title: the regimes compared and the benchmark."""
    first, *others = study.regimes
    where = study.measured_on.benchmark if study.benchmark is None else study.benchmark.name
    return f"{', '.join(others)} against {study.origin} on {where}" if others else f"{first} on {where}"


def in_short(study: StudyReport) -> list[str]:
    """The study's findings in a few sentences, then its limits."""
    lines = []
    for other in study.references:
        for regime in study.against(other):
            parts = []
            for measure, name in TITLES.items():
                found = study.difference(regime, other, measure)
                if found is not None:
                    parts.append(f"{name} {verdict(found)} ({difference(found, star=False)})")
            lines.append(f"{regime} against {other}: {'; '.join(parts)}.")
    for other in study.references:
        lines += [monolingual(study, regime, other) for regime in study.against(other)]
    return lines + [line for line in (smallest(study), one_seed(study), seen_before(study)) if line]


def monolingual(study: StudyReport, regime: str, other: str) -> str:
    """One sentence: the number of languages without significant monolingual loss, and significant losses and gains."""
    measure = "monolingual.map"
    own = [
        found
        for code in study.stacks[0].languages
        if (found := study.difference(regime, other, measure, code)) is not None
    ]
    losses = [found for found in own if found.significant and found.difference < 0]
    gains = [found for found in own if found.significant and found.difference > 0]
    parts = [
        f"{regime} against {other}: no significant monolingual loss in {len(own) - len(losses)} of {len(own)} languages"
        + too_few(own)
    ]
    for word, part in (("significant losses", losses), ("significant gains", gains)):
        if part:
            named = ", ".join(f"{language(found.slice).name} {difference(found, star=False)}" for found in part)
            parts.append(f"{word}: {named}")
    return "; ".join(parts) + "."


def too_few(own: Sequence[Comparison]) -> str:
    """In parentheses, how many of the languages have too few question groups to show anything; empty if none."""
    bare = sum(found.groups < FEWEST_GROUPS for found in own)
    groups = f"fewer than {FEWEST_GROUPS} question groups"
    return f" ({bare} {'has' if bare == 1 else 'have'} {groups}, too few to tell)" if bare else ""


def families(study: StudyReport, regime: str, other: str) -> str:
    """The monolingual change in each family of several languages; empty if there is no such family."""
    named = [
        f"{found.slice.removeprefix('family:')} {difference(found, star=False)}"
        + ("" if found.significant else " (not significant)")
        for found in study.families(regime, other, "monolingual.map")
    ]
    return f"Families of several languages: {'; '.join(named)}." if named else ""


def smallest(study: StudyReport, other: str | None = None) -> str:
    """The smallest monolingual difference that this benchmark can detect; empty if none was measured."""
    other = other or study.references[0]
    against = study.against(other)
    found = study.difference(against[-1], other, "monolingual.map") if against else None
    if found is None or found.low == found.high:
        return ""
    if found.groups < FEWEST_GROUPS:
        return f"{found.groups} question groups are too few to show any difference; {FEWEST_GROUPS} are the least."
    return (
        "The smallest monolingual difference that this benchmark would show with probability .8 is about "
        f"{100 * detectable(found):.1f} points ({against[-1]} against {other})."
    )


def one_seed(study: StudyReport) -> str:
    """A caveat if each regime was trained only once; empty otherwise."""
    if len(study.seeds) > 1 or len(study.regimes) < 2:
        return ""
    if not study.is_study:
        return "One run each: variance between trainings is not in the intervals."
    return "One seed: variance between trainings is not in the intervals; repeat with several seeds before concluding."


def seen_before(study: StudyReport) -> str:
    """A caveat if training rows also occur in the benchmark; empty otherwise."""
    if not study.overlap:
        return ""
    return (
        f"Not zero-shot: {study.overlap.groups} groups, {study.overlap.queries} queries and "
        f"{study.overlap.passages} passages of the training rows also stand in the benchmark."
    )


def setup(study: StudyReport) -> list[str]:
    """Paragraphs on the benchmark, the training, the bootstrap, and the benchmark's notes."""
    drawn = "; the variance between seeds is added" if len(study.seeds) > 1 else ""
    bootstrap = (
        f"Brackets are 95 % intervals of a paired bootstrap over question groups ({study.resamples} resamples; all "
        f"language versions of a question are drawn together{drawn})."
    )
    settings, benchmark = study.settings, study.benchmark
    notes = notes_of([(regime, run) for regime, _, run in study.runs])
    if not study.is_study or benchmark is None:
        measured = study.measured_on
        facts = (
            f"{len(measured.groups)} question groups against {sum(measured.candidates.values())} candidates in "
            f"{len(measured.languages)} languages ({' '.join(measured.languages)})."
        )
        return [facts, bootstrap, *notes]
    unseen = [code for code in benchmark.languages if code not in study.trained_languages]
    seeds = f"seed{'s' if len(study.seeds) > 1 else ''} {', '.join(map(str, study.seeds))}"
    return [
        f"{len(benchmark.queries)} queries of {len(benchmark.groups)} question groups against "
        f"{len(benchmark.candidates)} candidates in {len(benchmark.languages)} languages "
        f"({' '.join(benchmark.languages)}). Trained on {study.rows} rows of {study.groups} groups in "
        f"{len(study.trained_languages)} languages ({' '.join(study.trained_languages)})"
        + (f"; never trained on: {' '.join(unseen)}." if unseen else "."),
        f"Model `{settings['model']}`; {settings['max_steps']} steps of {settings['batch_size']} pairs, learning rate "
        f"{settings['lr']:g}, temperature {settings['temperature']:g}, {settings['xy']} language pairs, token table "
        f"`{settings['embeddings']}`; {seeds}. isoglot {__version__}.",
        bootstrap,
        *notes,
    ]


def floor(study: StudyReport) -> str:
    """How to read the levels, with the smallest possible rank distance on this benchmark if known."""
    text = "mAP: higher is better."
    if not any(measure == "multilingual.rank_distance" for _, measure in study.levels):
        return text
    text += " Rank distance: lower is better"
    if study.benchmark is None:
        return f"{text}."
    least = len(study.benchmark.gold) / max(1, len(study.benchmark.queries)) - 1
    return f"{text}, at least about {least:.0f} here."
