"""The integer side of parallel rows: who is in which group, language, data set and passage component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import InputError

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class RowTable:
    """Integer arrays over rows, and the look-ups that sampling needs; O(rows) in all, never O(rows x languages).

    Groups are numbered so that those of one data set are contiguous. Arrays may be memory-mapped.

    Attributes:
        languages, datasets: names behind the numbers.
        lang, dataset, group, component: (rows,) numbers of each row.
        keys, key_rows: (rows,) sorted `group * len(languages) + lang`, and the row behind each.
        group_dataset_offsets: (datasets + 1,) group range of each data set.
        lang_rows: (rows,) rows sorted by (data set, language).
        lang_offsets: (datasets * languages + 1,) ranges in `lang_rows`.
        pair_groups: (datasets, languages, languages) groups that have both languages; the diagonal counts rows.
        pair_components: the same, counting distinct components: the largest possible batch.
        dataset_components: (datasets,) distinct components.
        parallel_components: (datasets,) distinct components among groups with at least two languages.
    """

    languages: tuple[str, ...]
    datasets: tuple[str, ...]
    lang: Ints
    dataset: Ints
    group: Ints
    component: Ints
    keys: Ints
    key_rows: Ints
    group_dataset_offsets: Ints
    lang_rows: Ints
    lang_offsets: Ints
    pair_groups: Ints
    pair_components: Ints
    dataset_components: Ints
    parallel_components: Ints

    def __len__(self) -> int:
        return len(self.lang)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.group_dataset_offsets[-1])

    def rows_of_groups(self, groups: Ints, lang: int) -> NDArray[np.int64]:
        """Rows of the given groups in one language, (n,) int64; -1 where a group lacks it."""
        wanted = groups.astype(np.int64) * len(self.languages) + lang
        at = self._places(wanted)
        at[at == len(self.keys)] = 0
        return np.where(self.keys[at] == wanted, self.key_rows[at], -1).astype(np.int64)

    def group_ranges(self, groups: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Range of each group in `key_rows` (its rows, ordered by language): starts and counts, (n,) int64."""
        size = len(self.languages)
        starts = self._places(groups.astype(np.int64) * size)
        return starts, self._places((groups.astype(np.int64) + 1) * size) - starts

    def _places(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where keys stand or would stand; searched in their order, which touches far less memory."""
        order = np.argsort(wanted)
        places = np.empty(len(wanted), dtype=np.int64)
        places[order] = np.searchsorted(self.keys, wanted[order])
        return places

    @classmethod
    def from_columns(
        cls,
        groups: Sequence[str],
        langs: Sequence[str],
        passages: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> RowTable:
        """Build a table from plain columns, one entry a row.

        Args:
            groups: group names, unique within a data set.
            langs: language codes.
            passages: passage texts; equal texts in one language join their groups into one component.
            datasets: data set names, one for all when None.

        Raises:
            InputError: columns of different lengths, none at all, or a (data set, group, language) given twice.
        """
        names = datasets if datasets is not None else ["rows"] * len(groups)
        lengths = [len(column) for column in (groups, langs, passages, datasets) if column is not None]
        if not lengths[0] or len(set(lengths)) > 1:
            raise InputError(f"columns of {', '.join(map(str, lengths))} entries; they must be equal, not 0")
        languages, lang = np.unique(np.asarray(langs, dtype=object).astype(str), return_inverse=True)
        dataset_names, dataset = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
        _, name = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        texts = None
        if passages is not None:
            _, texts = np.unique(np.asarray(passages, dtype=object), return_inverse=True)
        return build_table(tuple(map(str, languages)), tuple(map(str, dataset_names)), lang, dataset, name, texts)


def build_table(
    languages: tuple[str, ...],
    datasets: tuple[str, ...],
    lang: Ints,
    dataset: Ints,
    group_name: Ints,
    passage_text: Ints | None,
) -> RowTable:
    """Number groups and components and lay out the look-ups.

    Args:
        languages: names behind `lang`.
        datasets: names behind `dataset`.
        lang: (rows,) language numbers.
        dataset: (rows,) data set numbers.
        group_name: (rows,) any integer that identifies the group's name within its data set (a hash will do).
        passage_text: (rows,) any integer that identifies the passage's text (a hash will do), or None.

    Raises:
        InputError: a (data set, group, language) that occurs twice; the message gives 0-based row numbers.
    """
    size = len(languages)
    pairs = np.empty(len(lang), dtype=[("dataset", np.int32), ("name", group_name.dtype)])
    pairs["dataset"], pairs["name"] = dataset, group_name
    order = np.lexsort((group_name, dataset))
    changed = np.ones(len(lang), dtype=bool)
    changed[1:] = pairs[order][1:] != pairs[order][:-1]
    group = np.empty(len(lang), dtype=np.int32)
    group[order] = np.cumsum(changed) - 1
    group_dataset = dataset[order][changed]
    del pairs, changed

    keys = group.astype(np.int64) * size + lang
    key_rows = np.argsort(keys, kind="stable")
    keys = keys[key_rows]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        raise DuplicateRowError(int(key_rows[twice[0]]), int(key_rows[twice[0] + 1]), len(twice))
    component = _components(group, lang, size, passage_text)
    lang_key = dataset.astype(np.int64) * size + lang
    lang_rows = np.argsort(lang_key, kind="stable")
    pair_groups, pair_components = _pair_counts(lang, group, component, group_dataset, size, len(datasets))
    spans = np.searchsorted(group_dataset, np.arange(len(datasets) + 1))
    parallel = np.bincount(group)[group] > 1
    return RowTable(
        languages=languages,
        datasets=datasets,
        lang=lang.astype(np.int16),
        dataset=dataset.astype(np.int16),
        group=group,
        component=component,
        keys=keys,
        key_rows=key_rows.astype(np.int32),
        group_dataset_offsets=spans.astype(np.int64),
        lang_rows=lang_rows.astype(np.int32),
        lang_offsets=np.searchsorted(lang_key[lang_rows], np.arange(len(datasets) * size + 1)),
        pair_groups=pair_groups,
        pair_components=pair_components,
        dataset_components=_count_by_dataset(component, dataset, len(datasets)),
        parallel_components=_count_by_dataset(component[parallel], dataset[parallel], len(datasets)),
    )


class DuplicateRowError(InputError):
    """Two rows claim the same (data set, group, language)."""

    def __init__(self, first: int, second: int, count: int) -> None:
        self.first, self.second, self.count = first, second, count
        super().__init__(
            f"{count} rows repeat the (dataset, group, lang) of an earlier one, such as rows {first} and {second}; "
            "one group has one row a language: give different questions different groups"
        )


def _components(group: Ints, lang: Ints, size: int, passage_text: Ints | None) -> NDArray[np.int32]:
    """Connected components over group links and equal (language, passage text)."""
    if passage_text is None:
        return group.astype(np.int32)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    order = np.lexsort((passage_text, lang))
    changed = np.ones(len(order), dtype=bool)
    changed[1:] = (passage_text[order][1:] != passage_text[order][:-1]) | (lang[order][1:] != lang[order][:-1])
    text = np.empty(len(order), dtype=np.int64)
    text[order] = np.cumsum(changed) - 1
    groups = int(group.max()) + 1
    nodes = groups + int(text.max()) + 1
    graph = coo_array((np.ones(len(group), dtype=np.int8), (group, groups + text)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    _, component = np.unique(labels[group], return_inverse=True)
    return component.astype(np.int32)


def _count_by_dataset(component: Ints, dataset: Ints, datasets: int) -> NDArray[np.int64]:
    """Distinct components in each data set, (datasets,)."""
    return np.array([len(np.unique(component[dataset == number])) for number in range(datasets)], dtype=np.int64)


def _pair_counts(
    lang: Ints, group: Ints, component: Ints, group_dataset: Ints, size: int, datasets: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count groups and distinct components that have both languages of a pair, per data set."""
    pair_groups = np.zeros((datasets, size, size), dtype=np.int64)
    group_component = np.zeros(len(group_dataset), dtype=np.int64)
    group_component[group] = component
    members = np.bincount(group_component)
    surplus = np.zeros_like(pair_groups)
    presence = np.zeros((len(group_dataset), size), dtype=bool)
    presence[group, lang] = True
    for number in range(datasets):
        start, end = np.searchsorted(group_dataset, [number, number + 1])
        for low in range(start, end, 1 << 18):
            block = presence[low : min(low + (1 << 18), end)].astype(np.float32)
            pair_groups[number] += (block.T @ block).astype(np.int64)
        shared = np.arange(start, end)[members[group_component[start:end]] > 1]
        if len(shared):
            for x in range(size):
                for y in range(size):
                    both = shared[presence[shared, x] & presence[shared, y]]
                    surplus[number, x, y] = len(both) - len(np.unique(group_component[both]))
    return pair_groups, pair_groups - surplus
