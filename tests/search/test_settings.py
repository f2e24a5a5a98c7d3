"""The settings of a search are the same wherever they are named, and each shows where signatures are read."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, ForwardRef

import numpy as np
import pytest

from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.request import SearchRequest, SearchSettings, SimilarSettings
from isoglot.search.searcher import Searcher


@pytest.fixture
def searcher() -> Searcher:
    return Searcher(MemoryIndex([Passage("a", "a", "solar", "de")], np.eye(1, 2, dtype=np.float32)), embed)


def embed(texts: list[str], role: str) -> np.ndarray:
    return np.eye(1, 2, dtype=np.float32).repeat(len(texts), axis=0)


def test_what_may_be_given_is_what_is_asked() -> None:
    named = {name: kind.__forward_arg__ for name, kind in all_of(SearchSettings).items()}
    assert named == {field.name: field.type for field in fields(SearchRequest)}
    assert set(all_of(SimilarSettings)) < set(named)


def all_of(settings: Any) -> dict[str, ForwardRef]:
    return dict(settings.__annotations__)


@pytest.mark.parametrize(
    ("method", "first", "vectors"), [("search", "query", "vector"), ("search_many", "queries", "vectors")]
)
def test_signatures_name_every_setting_with_its_default(method: str, first: str, vectors: str) -> None:
    found = inspect.signature(getattr(Searcher, method)).parameters
    assert list(found) == ["self", first, *(field.name for field in fields(SearchRequest)), vectors]
    assert {field.name: found[field.name].default for field in fields(SearchRequest)} == vars(SearchRequest())


def test_names_that_are_no_settings_are_refused_as_python_does(searcher: Searcher) -> None:
    with pytest.raises(TypeError, match=r"^Searcher\.search\(\) got an unexpected keyword argument 'lang'$"):
        searcher.search("solar", lang="de")
    with pytest.raises(TypeError, match=r"^Searcher\.search_many\(\) got an unexpected keyword argument 'vector'$"):
        searcher.search_many(["solar"], vector=None)
    assert [hit.id for hit in searcher.search("solar", langs=["de"], k=1)] == ["a"]
