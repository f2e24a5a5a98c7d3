"""Reports: sentences, tables, the page, exports and pictures, on studies of random vectors."""

import csv
import doctest
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.data.benchmarks.overlap import Overlap
from isoglot.measuring import top10
from isoglot.measuring.bootstrap import Interval
from isoglot.measuring.comparing import Comparison, compare, stacked
from isoglot.measuring.ranks import top_k
from isoglot.measuring.scoring import score
from isoglot.studies.report import (
    StudyReport,
    colours,
    examples,
    exports,
    html,
    render_markdown,
    svg_charts,
    views,
    words,
)
from isoglot.studies.report.files import write_report
from isoglot.training.sampling import regimes
from isoglot.training.sampling.regimes import sweep
from support.chromium import CHROMIUM, FLAGS

EVIL = '<script>console.error("run")</script>&"\'{{ 7 * 7 }}'
LANGS = ("ar", "de", "es", "th")


def bench(groups=12):
    queries = [
        (f"{lang}:{n}:q", lang, f"g{n}", f"{'ما' if lang == 'ar' else 'query'} {n} {lang} {EVIL}")
        for lang in LANGS
        for n in range(groups)
    ]
    candidates = [(f"{lang}:{n}", lang, f"passage {n} {lang} {EVIL}") for lang in LANGS for n in range(groups)]
    answers = {f"g{n}": [f"{lang}:{n}" for lang in LANGS] for n in range(groups)}
    return assemble("mini", queries, candidates, answers)


def vectors(benchmark, noise, bias, seed):
    """Queries and passages near their group's direction, shifted by language."""
    rng = np.random.default_rng(seed)
    group, lang = rng.standard_normal((2, 40, 24))
    of_candidate = np.array([int(key.split(":")[1]) for key in benchmark.candidates.ids])

    def place(numbers, langs):
        found = group[numbers] + bias * lang[langs] + noise * rng.standard_normal((len(numbers), 24))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    return place(benchmark.group, benchmark.queries.lang), place(of_candidate, benchmark.candidates.lang)


def study_of(plan, groups=12, seeds=(0,)):
    """A study whose regimes are (name, noise, bias)."""
    benchmark = bench(groups)
    runs, top = [], {}
    for name, noise, bias in plan:
        for seed in (None,) if name == "base" else seeds:
            q, c = vectors(benchmark, noise, bias, 1 + (seed or 0))
            runs.append((name, seed, score(benchmark, q, c, name=name)))
            top.setdefault(name, top_k(q, c, 10))
    return StudyReport(
        benchmark=benchmark,
        runs=runs,
        comparisons=compare(stacked([(name, result) for name, _, result in runs]), resamples=200),
        settings={
            "model": "tiny",
            "max_steps": 1,
            "batch_size": 2,
            "lr": 1e-5,
            "temperature": 0.05,
            "xy": "per-batch",
            "embeddings": "used",
        },
        trained_languages=("de", "es"),
        groups=3,
        rows=6,
        overlap=Overlap(0, 0, 0, ()),
        seeds=seeds,
        resamples=200,
        top=top,
    )


@pytest.fixture(scope="module")
def study():
    return study_of(
        [
            ("base", 1.2, 1.5),
            ("x-x-mono", 1.0, 0.8),
            ("x-y", 1.1, 0.2),
            ("hybrid-0.25", 1.0, 0.3),
            ("hybrid-0.75", 1.0, 0.6),
        ]
    )


def test_doctests():
    for module in (svg_charts, exports, regimes):
        assert doctest.testmod(module).failed == 0


def fixed(study, differences):
    """The study with monolingual comparisons x-x-mono - base as given: {slice: (difference, low, high, p)}."""
    own = [Comparison("x-x-mono", "base", "monolingual.map", part, *values, 12) for part, values in differences.items()]
    return replace(study, comparisons=own)


def test_what_separates_the_regimes_stands_first_in_points(study):
    found = views.separations(
        replace(
            study,
            comparisons=[
                Comparison("x-y", "base", "multilingual.map", "all", 0.031, 0.012, 0.05, 0.001, 12),
                Comparison("base", "x-x-mono", "monolingual.map", "all", 0.004, -0.01, 0.018, 0.6, 12),
                Comparison("x-y", "base", "multilingual.rank_distance", "all", -9.0, -12.0, -6.0, 0.001, 12),
                Comparison("x-y", "base", "multilingual.map", "de", 0.9, 0.8, 1.0, 0.001, 12),
            ],
        )
    )
    said = [(c.measure, c.regime, round(c.points, 6), round(c.low, 6), round(c.high, 6), c.significant) for c in found]
    assert said == [
        ("mono mAP", "x-x-mono", -0.4, -1.8, 1.0, False),
        ("pool mAP", "x-y", 3.1, 1.2, 5.0, True),
    ]
    drawn = ElementTree.fromstring(svg_charts.separation(found, "Change"))
    words_ = [text.text for text in drawn.iter("text")]
    assert words_.index("mono mAP") < words_.index("x-x-mono") < words_.index("pool mAP") < words_.index("x-y")
    assert "+3.1" in words_
    assert "-0.4" in words_
    # Open where it is not significant; to the right of the zero line where it is a gain.
    circles = list(drawn.iter("circle"))
    assert [circle.get("fill") == "var(--page)" for circle in circles] == [True, False]
    zero = float(next(line for line in drawn.iter("line") if line.get("class") == "zero").get("x1"))
    assert float(circles[0].get("cx")) < zero < float(circles[1].get("cx"))


def test_a_single_run_has_nothing_to_separate():
    alone = study_of([("base", 1.0, 0.5)])
    assert views.separations(alone) == []
    assert "What separates" not in html.render_html(alone)


def test_the_monolingual_sentence_names_losses_and_gains(study):
    told = fixed(
        study,
        {
            "ar": (0.031, 0.01, 0.05, 0.01),
            "de": (0.0, -0.01, 0.01, 0.9),
            "es": (-0.02, -0.05, 0.01, 0.2),
            "th": (-0.012, -0.020, -0.004, 0.02),
        },
    )
    assert words.monolingual(told, "x-x-mono", "base") == (
        "x-x-mono against base: no significant monolingual loss in 3 of 4 languages; "
        "significant losses: Thai -1.2 [-2.0, -0.4]; significant gains: Arabic +3.1 [+1.0, +5.0]."
    )


def test_a_comparison_turned_round_says_the_opposite(study):
    told = fixed(study, {"all": (-0.02, -0.03, -0.01, 0.001)})
    turned = told.difference("base", "x-x-mono", "monolingual.map")
    assert words.difference(turned) == "+2.0 [+1.0, +3.0]*"
    assert words.verdict(turned) == "is significantly better"
    farther = replace(turned, measure="multilingual.rank_distance")
    assert words.verdict(farther) == "is significantly worse"


def test_the_smallest_detectable_difference_follows_from_the_interval(study):
    # Width 0.0392 = 2 x 1.96 x 0.01, so a standard error of 0.01, and (1.95996 + 0.84162) x 0.01 = 2.8 points.
    told = fixed(study, {"all": (0.0, -0.0196, 0.0196, 0.9)})
    told = replace(told, runs=[run for run in told.runs if run[0] in ("base", "x-x-mono")])
    assert "about 2.8 points (x-x-mono against base)" in words.smallest(told)


def test_a_measure_that_is_better_neither_high_nor_low_is_only_higher_or_lower(study):
    """More of the top 10 in the query's language is more bias, unless its share of the pool is larger still."""
    told = fixed(study, {"all": (0.02, 0.01, 0.03, 0.001)}).difference("x-x-mono", "base", "monolingual.map")
    for measure in ("multilingual.same_language@10", "multilingual.lpr", "one_target_deletion.map"):
        assert words.verdict(replace(told, measure=measure)) == "is significantly higher"
    less = replace(told, measure="multilingual.lpr", difference=-0.02)
    assert words.verdict(less) == "is significantly lower"
    assert words.verdict(replace(told, measure="multilingual.tlr@10")) == "is significantly better"


def test_normalised_max_at_r_is_in_points_already(study):
    told = fixed(study, {"all": (1.5, -0.5, 3.5, 0.2)}).difference("x-x-mono", "base", "monolingual.map")
    assert words.difference(replace(told, measure="multilingual.max@r_normalised")) == "+1.5 [-0.5, +3.5]"


def test_what_too_few_groups_cannot_tell_is_said():
    """An exact sign-flip test of five groups has no p below 2 / 2^5 = .0625."""
    few = study_of([("base", 1.2, 1.0), ("hybrid-0.5", 1.0, 0.4)], groups=5)
    text = render_markdown(few)
    assert "in 4 of 4 languages (4 have fewer than 6 question groups, too few to tell)" in text
    assert "5 question groups are too few to show any difference; 6 are the least." in text
    assert "with probability .8" not in text
    same = fixed(few, {"all": (0.0, 0.0, 0.0, 1.0)})
    assert words.smallest(same, "base") == ""


def test_no_floor_of_a_rank_distance_that_was_not_measured():
    one = study_of([("base", 1.2, 1.0)])
    benchmark = assemble("one", [("q", "de", "g", "?")], [("a", "de", "."), ("b", "de", ".")], {"g": ["a", "b"]})
    vectors = np.eye(2, dtype=np.float32)
    alone = replace(one, benchmark=benchmark, runs=[("base", None, score(benchmark, vectors[:1], vectors))])
    assert words.floor(alone) == "mAP: higher is better."


def test_references_and_what_is_held_against_them(study):
    assert study.references == ["base", "x-x-mono", "x-y"]
    assert study.against("x-x-mono") == ["x-y", "hybrid-0.25", "hybrid-0.75"]
    assert study.against("x-y") == ["hybrid-0.25", "hybrid-0.75"]


def test_markdown_has_every_section_and_caveat(study):
    text = render_markdown(study)
    for part in (
        "# x-x-mono, x-y, hybrid-0.25, hybrid-0.75 against the untouched model on mini",
        "## Retrieval and language bias",
        "## Differences to base",
        "## Differences to x-x-mono",
        "## Differences to x-y",
        "## What it costs or gains monolingually",
        "never trained on: ar th.",
        "One seed: variance between trainings is not in the intervals",
        "at least about 3 here",
    ):
        assert part in text
    for line in text.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")


def test_more_seeds_drop_the_caveat_and_overlap_adds_one():
    several = study_of([("base", 1.2, 1.0), ("hybrid-0.5", 1.0, 0.4)], groups=6, seeds=(0, 1))
    several = replace(several, overlap=Overlap(2, 3, 4, ()))
    said = " ".join(words.in_short(several))
    assert "One seed" not in said
    assert "Not zero-shot: 2 groups, 3 queries and 4 passages" in said
    assert "the variance between seeds is added" in " ".join(words.setup(several))


def test_pair_scores_are_the_evaluations_means(study):
    evaluation = study.runs[0][2]
    found = views.pair_scores(study)[0].values
    pairs = evaluation.metrics()["pairs"]
    for i, query in enumerate(LANGS):
        for j, passage in enumerate(LANGS):
            assert found[i, j] == pytest.approx(pairs[f"{query}>{passage}"]["map"])


def test_language_shares_count_the_top(study):
    benchmark = study.benchmark
    top = study.top["base"]
    shares = top10.language_shares(benchmark, top)
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    rows = [row for q, row in enumerate(top) if benchmark.queries.lang[q] == 1]
    wanted = np.mean([[benchmark.candidates.lang[c] == 3 for c in row] for row in rows])
    assert shares[1, 3] == pytest.approx(wanted)


def test_hits_come_back_as_they_were(study, tmp_path):
    assert top10.load_hits(tmp_path, study.benchmark) is None
    top10.save_hits(tmp_path, study.benchmark, study.top["x-y"])
    assert (top10.load_hits(tmp_path, study.benchmark) == study.top["x-y"]).all()
    with pytest.raises(InputError, match="another benchmark"):
        top10.load_hits(tmp_path, bench(5))
    (tmp_path / top10.FILE).write_bytes(b"PAR1 cut")
    with pytest.raises(InputError, match="cannot be read"):
        top10.load_hits(tmp_path, study.benchmark)


def test_examples_are_the_largest_changes_one_a_group(study):
    found = examples.examples(study, "hybrid-0.25", "base", each=2)
    gains = [entry.scores[0] - entry.scores[1] for entry in found]
    assert gains[0] >= gains[1] > 0
    assert all(gain < 0 for gain in gains[2:])
    pooled = {
        name: next(r for regime, _, r in study.runs if regime == name).values["multilingual", "map"].matrix
        for name in ("hybrid-0.25", "base")
    }
    assert gains[0] == pytest.approx((pooled["hybrid-0.25"] - pooled["base"]).max())
    assert len(found[0].hits[0]) == 5
    assert examples.examples(replace(study, top={}), "hybrid-0.25", "base") == []


def test_alpha_curve_runs_from_x_y_to_x_x_mono(study):
    assert views.alpha_curve(study) == [(0.0, "x-y"), (0.25, "hybrid-0.25"), (0.75, "hybrid-0.75"), (1.0, "x-x-mono")]
    short = replace(study, runs=study.runs[:3])
    assert views.alpha_curve(short) == []


def test_sweep_spells_out_hybrid():
    assert sweep(("x-x-mono", "hybrid"), (0.5,)) == ("x-x-mono", "hybrid-0.5")
    assert sweep(("hybrid",), (0, 0.25, 1)) == ("x-y", "hybrid-0.25", "x-x-mono")
    assert sweep(("hybrid",), (0, 1), "linear") == ("hybrid-0", "hybrid-1")  # neither of which stays there
    assert sweep(("x-x-mono", "x-x-mono"), (0.5,)) == ("x-x-mono", "x-x-mono")  # for the settings to refuse
    with pytest.raises(InputError, match="add hybrid"):
        sweep(("x-y",), (0.25, 0.5))
    with pytest.raises(InputError, match="at least one number"):
        sweep(("hybrid",), ())


class Page(HTMLParser):
    """Tags, open elements and the values of all attributes."""

    VOID = frozenset({"meta", "link", "br", "line", "circle", "rect", "polygon", "polyline"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.values, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [(tag, key, value) for key, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_self_contained_well_formed_and_escaped(study):
    text = html.render_html(study)
    page = Page(text)
    assert page.open == []
    assert not {"script", "iframe", "img", "object"} & set(page.tags)
    assert not re.search(r"https?:|url\(|@import", text)
    for tag, key, value in page.values:
        assert not key.startswith("on")
        if key in ("src", "href"):
            assert (tag, value) == ("link", "data:,")
    assert any(EVIL in part for part in page.text)  # as text, not run, not expanded by the template
    assert ("span", "dir", "auto") in page.values
    assert {"prefers-color-scheme: dark", "width=device-width"} <= set(
        re.findall(r"prefers-color-scheme: dark|width=device-width", text)
    )


def test_charts_are_xml_and_named(study):
    drawings = re.findall(r"<svg.*?</svg>", html.render_html(study), re.DOTALL)
    assert len(drawings) == 8  # separation, trade-off, rank distance, pooled, and alpha for four measures
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("aria-label")
        for element in root.iter():
            for key in ("x1", "x2", "cx", "x"):
                assert 0 <= float(element.get(key, 0)) <= svg_charts.WIDTH + 1


def test_no_examples_leaves_texts_out(study):
    text = html.render_html(study, with_examples=False)
    assert "passage 3 de" not in text
    assert "query 3 de" not in text
    assert "Where they differ most" not in text


def test_page_without_hits_or_curve():
    plain = study_of([("base", 1.2, 1.0), ("en-en", 1.0, 0.4)], groups=4)
    text = html.render_html(replace(plain, top={}))
    assert "Languages in the top 10" not in text
    assert "Along alpha" not in text


def test_ink_reads_on_every_colour():
    for share in np.linspace(0, 1, 41):
        for background in (colours.sequential(share), colours.diverging(2 * share - 1)):
            assert contrast(background, colours.ink(background)) >= 4.5


def contrast(a, b):
    """WCAG 2 contrast ratio of two colours."""

    def luminance(colour):
        colour = colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_deletions_are_those_of_the_metrics(study):
    base, *others = views.deletions(study)
    assert [base.regime, *(entry.regime for entry in others)] == study.regimes
    wanted = study.runs[0][2].metrics()["one_target_deletion"]["heatmap"]
    for x, row in zip(LANGS, base.values, strict=True):
        assert dict(zip(LANGS, row, strict=True)) == pytest.approx(wanted[x])
    assert "Without one language's answer" in html.render_html(study)


def test_csv_holds_levels_and_differences(study):
    rows = list(csv.DictReader(io.StringIO(exports.render_csv(study))))
    base = study.runs[0][2]
    mono = [row for row in rows if row["kind"] == "level" and row["regime"] == "base"]
    by_slice = {row["slice"]: float(row["value"]) for row in mono if row["measure"] == "monolingual.map"}
    assert by_slice["all"] == pytest.approx(base.macro("monolingual", "map"))
    assert by_slice["th"] == pytest.approx(base.metrics()["per_language"]["th"]["monolingual"]["map"])
    assert sum(row["kind"] == "difference" for row in rows) == len(study.comparisons)


def test_latex_escapes_and_closes(study):
    named = replace(study, benchmark=replace(study.benchmark, name="50%_of #1 & {more}"))
    text = exports.render_latex(named)
    assert r"50\%\_of \#1 \& \{more\}" in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    lines = [line for line in text.splitlines() if "&" in line and "tabular" not in line and "caption" not in line]
    assert all(len(re.findall(r"(?<!\\)&", line)) == 4 for line in lines)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 50 % #1 $x {y} ~^", r"a\_b \& 50 \% \#1 \$x \{y\} \textasciitilde{}\textasciicircum{}"),
        ("C:\\new", r"C:\textbackslash{}new"),
        ("-1.5 x-y <b>", r"$-$1.5 x-y $<$b$>$"),
        ("two\n\n\tlines", "two lines"),
        ("Čeština café", "Čeština café"),
        ("ไ ع", r"\texttt{U+0E44} \texttt{U+0639}"),
        ("\x07", r"\texttt{U+0007}"),
    ],
)
def test_latex_of_any_text(text, escaped):
    assert exports.latex(text) == escaped


def test_latex_compiles(study, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex")
    accented = "".join(chr(code) for code in range(0xA0, 0x250))
    evil = f"[a]_%&#$~^\\{{}}<>|\"'`* -1.5 ไทย العربية 中文\n\n\x00 {accented}"
    table = exports.render_latex(replace(study, benchmark=replace(study.benchmark, name=evil)))
    table = table.replace("{}base ", "{}[base] ")
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{head}{table}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = (tmp_path / "t.log").read_text(encoding="latin-1")
    assert not re.search(r"Overfull \\hbox .* in paragraph at lines", log.split("caption")[0])
    assert (tmp_path / "t.pdf").stat().st_size > 1000


def test_page_loads_in_chromium_without_a_console_message(study, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    path = tmp_path / "report.html"
    path.write_text(html.render_html(study), encoding="utf-8")
    messages, asked = [], []
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width, scheme in ((1100, "light"), (320, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.on("console", lambda message: messages.append(message.text))
            page.on("pageerror", lambda error: messages.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("h1").is_visible()
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 28)")
            axe = pytest.importorskip("axe_playwright_python.sync_playwright")
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
            found = axe.Axe().run(page).response["violations"]
            assert not [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            # The picture stands before the words.
            assert page.locator("figure.first svg").bounding_box()["y"] < page.locator(".short").bounding_box()["y"]
        browser.close()
    assert messages == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}


def test_write_report_writes_every_file(study, tmp_path):
    write_report(study, tmp_path, with_examples=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "report.md", "report.csv", "report.tex", "study.json", "figures"}
    pictures = {"pairs", "changes", "pooled", "rank-distance", "trade-off", "deletions", "top10", "alpha"}
    drawn = list((tmp_path / "figures").iterdir())
    assert {path.name for path in drawn} == {f"{name}.{form}" for name in pictures for form in ("png", "svg")}
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")


def test_few_ranks_have_a_decimal():
    found = Comparison("a", "b", "multilingual.rank_distance", "all", -0.31, -0.48, -0.12, 0.001, 9)
    assert words.difference(found) == "-0.3 [-0.5, -0.1]*"
    assert words.difference(replace(found, difference=-142.4, low=-160.2, high=-120.3)) == "-142 [-160, -120]*"
    assert words.difference(replace(found, difference=-42.4, low=-80.2, high=-4.3)) == "-42.4 [-80.2, -4.3]*"
    assert words.level(Interval(4.25, 3.5, 12.0, None, 9, 0.4), "multilingual.max@r") == "4.2 [3.5, 12.0]"
    assert words.level(Interval(142.4, 100.2, 180.0, None, 9, 0.4), "multilingual.max@r") == "142 [100, 180]"
