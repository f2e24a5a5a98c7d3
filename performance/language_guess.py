"""Accuracy of language detection on short texts: the embedded corpus `atlas`, and folders of your own.

    python performance/language_guess.py
    python performance/language_guess.py --quick     # every tenth text
    python performance/language_guess.py --lareqa xquad-r mlqa-r --pages fastapi-docs/docs

Texts without any letter are left out. The detector returns `und` if no language reaches its threshold.
"""

import re
from collections import Counter
from pathlib import Path

import harness

from isoglot.data.benchmarks.lareqa import read_lareqa
from isoglot.languages import normal_code
from isoglot.languages.detection import detect
from isoglot.languages.sentences import segments

WANTED = 2.0  # at most, percent undetected or wrong
LEAST = 25  # characters in a paragraph
_HEADING = re.compile(r"#+ +(.*?)\s*(\{[^}]*\})?\s*")
_MARKUP = re.compile(r"<[^>]*>|\{[^}]*\}|`[^`]*`|\]\([^)]*\)|^///?.*$|[*_\[\]#]", re.MULTILINE)


def atlas():
    """Yield (kind, language, text) of the embedded corpus: questions, passages, and their sentences."""
    for row in harness.atlas_rows():
        yield "atlas questions", row["lang"], row["query"]
        yield "atlas passages", row["lang"], row["passage"]
        for sentence in segments(row["passage"], row["lang"]):
            yield "atlas sentences", row["lang"], sentence.strip()


def questions(folder):
    """Yield (kind, language, text) of the questions of a folder in LAReQA's layout."""
    for lang, _, asked in read_lareqa(folder):
        for question in asked:
            yield f"{folder.name} questions", lang, question.text


def pages(folder):
    """Yield (kind, language, text) of headings and paragraphs of Markdown files in LANG/ folders, without code.

    zh-hant counts as Chinese.
    """
    for name, code, text in harness.markdown_pages(folder):
        lang = normal_code(code).partition("-")[0]
        for line in text.splitlines():
            found = _HEADING.fullmatch(line)
            if found:
                yield f"{name} headings", lang, _MARKUP.sub("", found[1].replace("`", ""))
        for paragraph in text.split("\n\n"):
            said = _MARKUP.sub("", paragraph).strip()
            if len(said) >= LEAST:
                yield f"{name} paragraphs", lang, said


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("--lareqa", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--pages", type=Path, nargs="*", default=[], metavar="FOLDER")
    given = parser.parse_args()
    sources = [atlas(), *map(questions, given.lareqa), *map(pages, given.pages)]
    texts = dict.fromkeys(entry for source in sources for entry in source if any(map(str.isalpha, entry[2])))
    if given.quick:
        texts = dict.fromkeys(list(texts)[::10])
    seen, unknown, wrong, pairs = Counter(), Counter(), Counter(), Counter()
    for kind, lang, text in texts:
        said = detect(text)
        for key in ((kind, "all"), (kind, lang)):
            seen[key] += 1
            unknown[key] += said == "und"
            wrong[key] += said not in ("und", lang)
        if said not in ("und", lang):
            pairs[kind, lang, said] += 1
    shares = {}
    for kind in dict.fromkeys(kind for kind, _ in seen):
        print(f"\n| {kind} | texts | und % | wrong % |\n|---|---|---|---|")
        for key in sorted((key for key in seen if key[0] == kind), key=lambda key: (key[1] != "all", key[1])):
            shares[key] = [100 * count[key] / seen[key] for count in (unknown, wrong)]
            print(f"| {key[1]} | {seen[key]} | {shares[key][0]:.1f} | {shares[key][1]:.1f} |")
    print("\nmost frequent mistakes:", ", ".join(f"{k} {a}>{b} {n}" for (k, a, b), n in pairs.most_common(8)) or "none")
    goals = [
        (f"{kind.replace(' ', '-')}-missed-percent", sum(share), WANTED, False)
        for (kind, lang), share in shares.items()
        if lang == "all" and kind.startswith("atlas")
    ]
    record = {" / ".join(key): {"texts": seen[key], "und": u, "wrong": w} for key, (u, w) in shares.items()}
    harness.finish(goals, record, given.json)


if __name__ == "__main__":
    main()
