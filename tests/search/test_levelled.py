"""Levels of languages from the candidates of one search, whose passages differ between languages."""

import pytest

from isoglot.search.candidates import Candidate, levelled
from isoglot.search.passage import Passage


def candidate(lang, number, score, **parts):
    key = f"{lang}{number}"
    return Candidate(Passage(key, key, "", lang), {"rerank": score, **parts}, score)


def nearby(lang, scores):
    """Candidates that a search by vector found, in this order."""
    return [candidate(lang, number, score, dense=1 - number / 100) for number, score in enumerate(scores)]


def order(candidates):
    return [one.passage.id for one in levelled(candidates)]


@pytest.mark.parametrize("more", [0, 20])
def test_passages_that_words_alone_found_do_not_lower_their_languages_level(more):
    words = [candidate("de", number, 0.1, lexical=5.0) for number in range(10, 10 + more)]
    ranked = order(nearby("de", [0.9, 0.5, 0.4, 0.3]) + nearby("fr", [0.95, 0.5, 0.4, 0.3]) + words)
    assert ranked[:2] == ["fr0", "de0"]


@pytest.mark.parametrize("more", [0, 300])
def test_a_preference_for_a_language_is_removed_however_many_of_its_passages_are_there(more):
    last = [0.2] * 200
    fond = [score + 0.5 for score in [0.8, 0.5, 0.4, *last]] + [0.3] * more
    ranked = order(nearby("de", fond) + nearby("fr", [0.9, 0.5, 0.4, *last]) + nearby("tr", [0.85, 0.5, 0.4, *last]))
    assert ranked[:3] == ["fr0", "tr0", "de0"]


def test_without_vectors_all_candidates_count():
    last = [0.2] * 200
    lists = {"de": [1.3, 1.0, 0.9, *(score + 0.5 for score in last)], "fr": [0.9, 0.5, 0.4, *last]}
    found = [candidate(lang, number, score) for lang, own in lists.items() for number, score in enumerate(own)]
    assert order(found)[:2] == ["fr0", "de0"]
    assert levelled([]) == []
