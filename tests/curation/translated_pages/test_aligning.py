from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.curation.translated_pages.aligning import align, best_path, contradict
from isoglot.documents.sections import Section


def outline(*levels, prefix="h"):
    return [Section(level, f"{prefix}{number}", None, "") for number, level in enumerate(levels)]


def pairs(matches):
    return [(match.original, match.translation) for match in matches]


def test_identifiers_win_over_order():
    original = [Section(1, "A", "a", ""), Section(2, "B", "b", ""), Section(2, "C", "c", "")]
    translation = [Section(1, "A'", "a", ""), Section(2, "C'", "c", ""), Section(2, "B'", "b", "")]
    assert pairs(align(original, translation)) == [(0, 0), (1, 2), (2, 1)]


def test_the_originals_headings_stand_for_identifiers_it_lacks():
    """As in Kubernetes' documentation: translations name the identifiers that English headings get by themselves."""
    original = [Section(2, "Before you begin", None, ""), Section(2, "What's next?", None, "")]
    translation = [Section(2, "接下来", "what-s-next", ""), Section(2, "准备开始", "before-you-begin", "")]
    assert pairs(align(original, translation)) == [(0, 1), (1, 0)]


def test_an_identifier_that_the_original_lacks_matches_nothing():
    original = [Section(1, "A", "a", ""), Section(2, "New", "new", ""), Section(2, "B", "b", "")]
    translation = [Section(1, "A'", "a", ""), Section(2, "Old'", "old", ""), Section(2, "B'", "b", "")]
    assert pairs(align(original, translation)) == [(0, 0), (2, 2)]


def test_identifiers_made_of_translated_headings_do_not_lead_astray():
    """A generator's identifiers agree by chance only (`api`): the outline says more."""
    original = [Section(2, "Start", "start", ""), Section(2, "API", "api", ""), Section(2, "Use", "use", "")]
    translation = [Section(2, "API", "api", ""), Section(2, "Mitte", "mitte", ""), Section(2, "Ende", "ende", "")]
    assert pairs(align(original, translation)) == [(0, 0), (1, 1), (2, 2)]


def test_sections_without_identifiers_are_matched_between_their_neighbours():
    original = [Section(1, "A", "a", ""), Section(2, "x", None, ""), Section(2, "B", "b", "")]
    translation = [Section(1, "A'", "a", ""), Section(2, "x'", None, ""), Section(2, "B'", "b", "")]
    assert [match.how for match in align(original, translation)] == ["identifier", "outline", "identifier"]


def test_a_chapter_that_differs_loses_only_its_own_sections():
    original = outline(1, 2, 3, 3, 2, 3)
    translation = outline(1, 2, 3, 2, 3)
    assert pairs(align(original, translation)) == [(0, 0), (1, 1), (4, 3), (5, 4)]


def test_names_and_numbers_that_disagree_part_sections():
    one = Section(2, "Set", None, "Use max_size=10 with cache_dir and HTTP.")
    other = Section(2, "Setzen", None, "Mit retry_count und JSON.")
    same = Section(2, "Setzen", None, "Mit max_size=10 und cache_dir.")
    assert contradict(one, other)
    assert not contradict(one, same)
    assert align([one], [other]) == []


def test_the_encoder_matches_what_is_left_in_order():
    """The translation lacks one of three chapters; vectors say which."""
    axes = np.eye(4, dtype=np.float32)
    vectors = {"h0": axes[0], "h1": axes[1], "h2": axes[2], "h3": axes[3], "t0": axes[0], "t1": axes[1], "t2": axes[3]}
    embed = lambda texts: np.stack([vectors[text.split("\n")[0]] for text in texts])  # noqa: E731
    original, translation = outline(1, 2, 2, 2), outline(1, 2, 2, prefix="t")
    assert pairs(align(original, translation)) == [(0, 0)]
    found = align(original, translation, embed=embed)
    assert [(m.original, m.translation, m.how) for m in found] == [
        (0, 0, "outline"), (1, 1, "encoder"), (3, 2, "encoder"),
    ]  # fmt: skip
    assert pairs(align(original, translation, embed=embed, threshold=0.9)) == [(0, 0)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**6))
def test_the_best_path_is_the_best_of_all(rows, columns, seed):
    gain = np.random.default_rng(seed).normal(size=(rows, columns))

    def best(i, j):
        if i == rows or j == columns:
            return 0.0
        return max(best(i + 1, j), best(i, j + 1), max(0, gain[i, j]) + best(i + 1, j + 1))

    path = best_path(gain)
    assert np.isclose(sum(gain[place] for place in path), best(0, 0))
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(path))


levels = st.lists(st.integers(0, 4), max_size=8)


@settings(max_examples=100, deadline=None)
@given(levels, levels)
def test_every_section_is_matched_at_most_once(one, other):
    found = pairs(align(outline(*one), outline(*other, prefix="t")))
    assert len({a for a, _ in found}) == len({b for _, b in found}) == len(found)
