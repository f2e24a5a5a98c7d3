"""From columns of rows to the look-ups of `RowTable`, in blocks: memory holds a block and a few numbers a group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.data.big_arrays import Ints, Room, order_by, parts

_GROUPS = 1 << 18


class DuplicateRowError(InputError):
    """Two rows claim the same (data set, group, language)."""

    def __init__(self, first: int, second: int, count: int) -> None:
        self.first, self.second, self.count = first, second, count
        super().__init__(
            f"{count} rows repeat the (dataset, group, lang) of an earlier one, such as rows {first} and {second}; "
            "one group has one row a language: give different questions different groups"
        )


def lay_out(
    lang: Ints, dataset: Ints, group_name: Ints, passage_text: Ints | None, *, languages: int, datasets: int, room: Room
) -> dict[str, Ints]:
    """Number groups and components and lay out the look-ups.

    Args:
        lang: (rows,) language numbers.
        dataset: (rows,) data set numbers.
        group_name: (rows,) any integer that identifies the group's name within its data set (a hash will do).
        passage_text: (rows,) any integer that identifies the passage's text (a hash will do), or None.
        languages: how many there are.
        datasets: how many there are.
        room: where arrays over rows live, those of the result by the names of their fields.

    Returns:
        The arrays of `isoglot.data.row_table.RowTable` except `lang` and `dataset`, by name.

    Raises:
        DuplicateRowError: a (data set, group, language) that occurs twice; the message gives 0-based row numbers.
    """
    group, group_dataset = _number_groups(dataset, group_name, datasets, room)
    keys, key_rows = _sorted_keys(group, lang, languages, room)
    sizes = _rows_of_groups(keys, len(group_dataset), languages)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    labels = _components(group, lang, len(group_dataset), languages, passage_text, room)
    component = room.array("component", len(group), np.int32)
    for part in parts(len(group)):
        component[part] = labels[group[part]]
    lang_rows, lang_offsets = _language_rows(lang, dataset, languages, datasets, room)
    offsets = np.searchsorted(group_dataset, np.arange(datasets + 1)).astype(np.int64)
    pair_groups, pair_components = _pair_counts(keys, starts, labels, offsets, languages)
    spans = list(pairwise(offsets))
    return {
        "group": group,
        "component": component,
        "keys": keys,
        "key_rows": key_rows,
        "group_offsets": starts,
        "group_dataset_offsets": offsets,
        "lang_rows": lang_rows,
        "lang_offsets": lang_offsets,
        "pair_groups": pair_groups,
        "pair_components": pair_components,
        "dataset_components": np.array([len(np.unique(labels[start:end])) for start, end in spans], np.int64),
        "parallel_components": np.array(
            [len(np.unique(labels[start:end][sizes[start:end] > 1])) for start, end in spans], np.int64
        ),
    }


def _by_text(text: Ints, apart: Ints, kinds: int, room: Room) -> Iterator[tuple[Ints, NDArray[np.bool_]]]:
    """Rows in the order of (apart, text), in blocks, each row with whether both are those of the row before it."""
    size = len(text)
    order = order_by(text, room.array("order", size, np.int32))
    name = "order"
    if kinds > 1:
        order = order_by(apart, room.array("order-apart", size, np.int32), start=order)
        room.drop("order")
        name = "order-apart"
    last = None
    for part in parts(size):
        rows = np.asarray(order[part])
        texts, aparts = text[rows], apart[rows]
        same = np.zeros(len(rows), dtype=bool)
        same[1:] = (texts[1:] == texts[:-1]) & (aparts[1:] == aparts[:-1])
        same[0] = last == (texts[0], aparts[0])
        last = (texts[-1], aparts[-1])
        yield rows, same
    room.drop(name)


def _number_groups(dataset: Ints, name: Ints, datasets: int, room: Room) -> tuple[Ints, Ints]:
    """Group numbers of rows, those of a data set contiguous, and each group's data set."""
    group = room.array("group", len(name), np.int32)
    found: list[Ints] = []
    count = 0
    for rows, same in _by_text(name, dataset, datasets, room):
        numbers = count - 1 + np.cumsum(~same)
        group[rows] = numbers
        found.append(dataset[rows[~same]].astype(np.int16))
        count = int(numbers[-1]) + 1
    return group, np.concatenate(found)


def _sorted_keys(group: Ints, lang: Ints, languages: int, room: Room) -> tuple[Ints, Ints]:
    """`group * languages + lang`, sorted, and the row behind each."""
    size = len(group)
    plain = room.array("keys-plain", size, np.int64)
    for part in parts(size):
        plain[part] = group[part].astype(np.int64) * languages + lang[part]
    key_rows = order_by(plain, room.array("key_rows", size, np.int32))
    keys = room.array("keys", size, np.int64)
    twice: list[tuple[int, int]] = []
    count, last, last_row = 0, -1, -1
    for part in parts(size):
        rows = np.asarray(key_rows[part])
        keys[part] = own = plain[rows]
        again = np.flatnonzero(own == np.concatenate([[last], own[:-1]]))
        if len(again) and not twice:
            before = last_row if again[0] == 0 else rows[again[0] - 1]
            twice.append((int(before), int(rows[again[0]])))
        count += len(again)
        last, last_row = int(own[-1]), int(rows[-1])
    room.drop("keys-plain")
    if twice:
        raise DuplicateRowError(*twice[0], count)
    return keys, key_rows


def _rows_of_groups(keys: Ints, groups: int, languages: int) -> NDArray[np.int64]:
    """How many rows each group has."""
    sizes = np.zeros(groups, dtype=np.int64)
    for part in parts(len(keys)):
        own = keys[part] // languages
        sizes[own[0] : own[-1] + 1] += np.bincount(own - own[0])
    return sizes


def _components(
    group: Ints, lang: Ints, groups: int, languages: int, passage_text: Ints | None, room: Room
) -> NDArray[np.int64]:
    """Connected components of groups, linked by equal (language, passage text), numbered from 0."""
    labels = np.arange(groups)
    if passage_text is None:
        return labels
    links: list[NDArray[np.int64]] = []
    last = -1
    for rows, same in _by_text(passage_text, lang, languages, room):
        own = group[rows].astype(np.int64)
        before = np.concatenate([[last], own[:-1]])
        # The same two groups are often linked once a language.
        links.append(np.unique(before[same] * groups + own[same]))
        last = int(own[-1])
        if sum(map(len, links)) > groups:
            labels, links = _joined(labels, np.concatenate(links)), []
    labels = _joined(labels, np.concatenate(links)) if links else labels
    return np.unique(labels, return_inverse=True)[1]


def _joined(labels: NDArray[np.int64], links: NDArray[np.int64]) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = labels[links // len(labels)], labels[links % len(labels)]
    nodes = int(labels.max()) + 1
    graph = coo_array((np.ones(len(links), dtype=np.int8), (one, other)), shape=(nodes, nodes))
    found: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return found[labels]


def _language_rows(lang: Ints, dataset: Ints, languages: int, datasets: int, room: Room) -> tuple[Ints, Ints]:
    """Rows sorted by (data set, language), and the range of each."""
    size = len(lang)
    key = room.array("lang-keys", size, np.int32)
    counts = np.zeros(datasets * languages, dtype=np.int64)
    for part in parts(size):
        key[part] = dataset[part].astype(np.int32) * languages + lang[part]
        counts += np.bincount(key[part], minlength=len(counts))
    rows = order_by(key, room.array("lang_rows", size, np.int32))
    room.drop("lang-keys")
    return rows, np.concatenate([[0], np.cumsum(counts)])


def _pair_counts(
    keys: Ints, starts: NDArray[np.int64], labels: NDArray[np.int64], offsets: NDArray[np.int64], languages: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count groups and distinct components that have both languages of a pair, per data set."""
    datasets = len(offsets) - 1
    pair_groups = np.zeros((datasets, languages, languages), dtype=np.int64)
    surplus = np.zeros_like(pair_groups)
    members = np.bincount(labels)
    for number, (begin, end) in enumerate(pairwise(offsets.tolist())):
        for low in range(begin, end, _GROUPS):
            block = _presence(keys, starts, np.arange(low, min(low + _GROUPS, end)), languages).astype(np.float32)
            pair_groups[number] += (block.T @ block).astype(np.int64)
        shared = begin + np.flatnonzero(members[labels[begin:end]] > 1)
        shared = shared[np.argsort(labels[shared], kind="stable")]
        for block_groups in _whole_components(shared, labels):
            presence = _presence(keys, starts, block_groups, languages)
            own = labels[block_groups]
            firsts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
            for x in range(languages):
                both = presence & presence[:, x : x + 1]
                surplus[number, x] += both.sum(axis=0) - np.logical_or.reduceat(both, firsts).sum(axis=0)
    return pair_groups, pair_groups - surplus


def _presence(keys: Ints, starts: NDArray[np.int64], groups: NDArray[np.int64], languages: int) -> NDArray[np.bool_]:
    """(groups, languages): which languages each of these groups has."""
    counts = starts[groups + 1] - starts[groups]
    firsts = np.cumsum(counts) - counts
    at = np.arange(int(counts.sum())) + np.repeat(starts[groups] - firsts, counts)
    found = np.zeros((len(groups), languages), dtype=bool)
    found[np.repeat(np.arange(len(groups)), counts), keys[at] % languages] = True
    return found


def _whole_components(groups: NDArray[np.int64], labels: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    """Groups, sorted by component, in blocks that cut no component."""
    own = labels[groups]
    start = 0
    while start < len(groups):
        end = min(start + _GROUPS, len(groups))
        if end < len(groups):
            end = int(np.searchsorted(own, own[end - 1], side="right"))
        yield groups[start:end]
        start = end
