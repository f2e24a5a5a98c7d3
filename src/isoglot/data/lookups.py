"""Compute the look-ups of `RowTable` in blocks, so that memory holds one block and a few numbers per group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.problems import SHOWN
from isoglot.data.big_arrays import Ints, Room, order_by, parts

GROUPS = 1 << 18


class DuplicateRowError(InputError):
    """Raised if rows repeat the (data set, group, language) of another but are not another passage of its query.

    Attributes:
        found: the first few cases: the 0-based numbers of two rows each, and what is wrong with them.
        count: the number of such rows.
    """

    def __init__(self, found: Sequence[tuple[int, int, str]], count: int) -> None:
        self.found, self.count = list(found[:SHOWN]), count
        first, second, why = found[0]
        super().__init__(
            f"{count} rows repeat the (dataset, group, lang) of an earlier one {why}, such as rows {first} and "
            f"{second}; {REPEAT_REMEDY}"
        )


REPEAT_REMEDY = (
    "a group has one query a language, which may have several different passages: give other questions other "
    "groups and drop duplicates"
)


def lay_out(
    lang: Ints,
    dataset: Ints,
    group_name: Ints,
    passage_text: Ints | None,
    query_text: Ints | None,
    *,
    languages: int,
    datasets: int,
    room: Room,
    check: bool = True,
) -> dict[str, Ints]:
    """Number groups and components and compute the look-ups.

    Args:
        lang: (rows,) language numbers.
        dataset: (rows,) data set numbers.
        group_name: (rows,) any integer that identifies the group's name within its data set (such as a hash).
        passage_text: (rows,) any integer that identifies the passage's text (such as a hash), or None; without it no
            (data set, group, language) may occur twice.
        query_text: (rows,) the same for the query's text.
        languages: number of languages.
        datasets: number of data sets.
        room: where arrays over rows are stored; those of the result are named after their fields.
        check: whether to check rows that repeat a (data set, group, language); False if they are known to be valid.

    Returns:
        The arrays of `isoglot.data.row_table.RowTable` except `lang` and `dataset`, by name.

    Raises:
        DuplicateRowError: a (data set, group, language) occurs twice with the same passage, with two queries or without
            passages.
    """
    group, group_dataset = _number_groups(dataset, group_name, datasets, room)
    keys, key_rows, repeats = _sorted_keys(group, lang, languages, room)
    if repeats and check:
        _check_repeats(keys, key_rows, repeats, passage_text, query_text)
    sizes = _rows_of_groups(keys, len(group_dataset), languages)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    labels = _components(group, len(group_dataset), (passage_text, query_text), room)
    component = room.array("component", len(group), np.int32)
    for part in parts(len(group)):
        component[part] = labels[group[part]]
    later = _later_rows(keys, key_rows) if repeats else None
    lang_rows, lang_offsets = _language_rows(lang, dataset, languages, datasets, later, room)
    offsets = np.searchsorted(group_dataset, np.arange(datasets + 1)).astype(np.int64)
    pair_groups, pair_components = _pair_counts(keys, starts, labels, offsets, languages)
    # The keys of a group are sorted by language, so it has several languages if its first and last key differ.
    several = np.asarray(keys[starts[:-1]] < keys[starts[1:] - 1])
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
            [len(np.unique(labels[start:end][several[start:end]])) for start, end in spans], np.int64
        ),
    }


def _by_text(text: Ints, room: Room, apart: Ints | None = None) -> Iterator[tuple[Ints, NDArray[np.bool_]]]:
    """Yield rows sorted by (apart, text) in blocks, and whether each row has the same values as the row before."""
    size = len(text)
    order = order_by(text, room.array("order", size, np.int32))
    name = "order"
    if apart is not None:
        order = order_by(apart, room.array("order-apart", size, np.int32), start=order)
        room.drop("order")
        name = "order-apart"
    last = None
    for part in parts(size):
        rows = np.asarray(order[part])
        texts = text[rows]
        aparts = texts if apart is None else apart[rows]
        same = np.zeros(len(rows), dtype=bool)
        same[1:] = (texts[1:] == texts[:-1]) & (aparts[1:] == aparts[:-1])
        same[0] = last == (texts[0], aparts[0])
        last = (texts[-1], aparts[-1])
        yield rows, same
    room.drop(name)


def _number_groups(dataset: Ints, name: Ints, datasets: int, room: Room) -> tuple[Ints, Ints]:
    """Number the groups, consecutively within a data set; return each row's group and each group's data set."""
    group = room.array("group", len(name), np.int32)
    found: list[Ints] = []
    count = 0
    for rows, same in _by_text(name, room, dataset if datasets > 1 else None):
        numbers = count - 1 + np.cumsum(~same)
        group[rows] = numbers
        found.append(dataset[rows[~same]].astype(np.int16))
        count = int(numbers[-1]) + 1
    return group, np.concatenate(found)


def _sorted_keys(group: Ints, lang: Ints, languages: int, room: Room) -> tuple[Ints, Ints, int]:
    """Return the sorted keys `group * languages + lang`, the row of each, and how many keys repeat the one before."""
    size = len(group)
    plain = room.array("keys-plain", size, np.int64)
    for part in parts(size):
        plain[part] = group[part].astype(np.int64) * languages + lang[part]
    key_rows = order_by(plain, room.array("key_rows", size, np.int32))
    keys = room.array("keys", size, np.int64)
    for part in parts(size):
        keys[part] = plain[np.asarray(key_rows[part])]
    room.drop("keys-plain")
    return keys, key_rows, sum(int(again.sum()) for _, again in _repeats(keys))


def _repeats(keys: Ints) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
    """Yield blocks of sorted keys, and whether each key of the block equals the one before."""
    last = -1
    for part in parts(len(keys)):
        own = np.asarray(keys[part])
        yield part, own == np.concatenate([[last], own[:-1]])
        last = int(own[-1])


def _later_rows(keys: Ints, key_rows: Ints) -> NDArray[np.bool_]:
    """Return whether an earlier row has the same group and language, (rows,)."""
    later = np.zeros(len(keys), np.bool_)
    for part, again in _repeats(keys):
        later[key_rows[part][again]] = True
    return later


def _check_repeats(keys: Ints, key_rows: Ints, repeats: int, passage: Ints | None, query: Ints | None) -> None:
    """Check that rows with the same key are different passages of one query.

    Raises:
        DuplicateRowError: some are not.
    """
    if passage is None:
        at = next(part.start + int(np.argmax(again)) for part, again in _repeats(keys) if again.any())
        why = "without a passage to tell them apart"
        raise DuplicateRowError([(int(key_rows[at - 1]), int(key_rows[at]), why)], repeats)
    other: list[tuple[int, int]] = []
    same: list[tuple[int, int]] = []
    for part in _whole_cells(keys):
        own, rows = np.asarray(keys[part]), np.asarray(key_rows[part])
        if query is not None:
            other += _pairs(rows, (own[1:] == own[:-1]) & (query[rows[1:]] != query[rows[:-1]]))
        order = np.lexsort((passage[rows], own))
        own, rows = own[order], rows[order]
        same += _pairs(rows, (own[1:] == own[:-1]) & (passage[rows[1:]] == passage[rows[:-1]]))
    told = {second for _, second in other}
    same = [pair for pair in same if pair[1] not in told]
    found = [(*pair, "with another query") for pair in other[:SHOWN]]
    found += [(*pair, "with the same passage") for pair in same[:SHOWN]]
    if found:
        raise DuplicateRowError(found, len(other) + len(same))


def _pairs(rows: Ints, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Return the pairs of neighbouring rows that `chosen`, (rows - 1,), selects."""
    at = np.flatnonzero(chosen)
    return zip(rows[at].tolist(), rows[at + 1].tolist(), strict=True)


def _whole_cells(keys: Ints) -> Iterator[slice]:
    """Yield slices of about one block of sorted keys that never separate equal keys."""
    start = 0
    for part in parts(len(keys)):
        end = part.stop if part.stop == len(keys) else int(np.searchsorted(keys, keys[part.stop], "left"))
        if end > start:
            yield slice(start, end)
            start = end


def _rows_of_groups(keys: Ints, groups: int, languages: int) -> NDArray[np.int64]:
    """Return the number of rows of each group."""
    sizes = np.zeros(groups, dtype=np.int64)
    for part in parts(len(keys)):
        own = keys[part] // languages
        sizes[own[0] : own[-1] + 1] += np.bincount(own - own[0])
    return sizes


def _components(group: Ints, groups: int, columns: Sequence[Ints | None], room: Room) -> NDArray[np.int64]:
    """Return each group's connected component, numbered from 0; an equal text in a column links two groups."""
    labels = np.arange(groups)
    links: list[NDArray[np.int64]] = []
    for texts in columns:
        last = -1
        for rows, same in () if texts is None else _by_text(texts, room):
            own = group[rows].astype(np.int64)
            before = np.concatenate([[last], own[:-1]])
            # Two groups are often linked once in every language.
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


def _language_rows(
    lang: Ints, dataset: Ints, languages: int, datasets: int, later: NDArray[np.bool_] | None, room: Room
) -> tuple[Ints, Ints]:
    """Return `lang_rows` and `lang_offsets` of `RowTable`; `later` marks all but the first row of a key."""
    size, last = len(lang), datasets * languages
    key = room.array("lang-keys", size, np.int32)
    counts = np.zeros(last + 1, dtype=np.int64)
    for part in parts(size):
        key[part] = dataset[part].astype(np.int32) * languages + lang[part]
        if later is not None:
            key[part] = np.where(later[part], last, key[part])
        counts += np.bincount(key[part], minlength=len(counts))
    rows = order_by(key, room.array("lang_rows", size, np.int32))
    room.drop("lang-keys")
    return rows, np.concatenate([[0], np.cumsum(counts[:-1])])


def _pair_counts(
    keys: Ints, starts: NDArray[np.int64], labels: NDArray[np.int64], offsets: NDArray[np.int64], languages: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count, per data set, the groups and the distinct components that have both languages of a pair."""
    datasets = len(offsets) - 1
    pair_groups = np.zeros((datasets, languages, languages), dtype=np.int64)
    surplus = np.zeros_like(pair_groups)
    members = np.bincount(labels)
    for number, (begin, end) in enumerate(pairwise(offsets.tolist())):
        for low in range(begin, end, GROUPS):
            block = _presence(keys, starts, np.arange(low, min(low + GROUPS, end)), languages).astype(np.float32)
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
    """Return which languages each of these groups has, (groups, languages)."""
    counts = starts[groups + 1] - starts[groups]
    firsts = np.cumsum(counts) - counts
    at = np.arange(int(counts.sum())) + np.repeat(starts[groups] - firsts, counts)
    found = np.zeros((len(groups), languages), dtype=bool)
    found[np.repeat(np.arange(len(groups)), counts), keys[at] % languages] = True
    return found


def _whole_components(groups: NDArray[np.int64], labels: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    """Yield groups, which are sorted by component, in blocks that never split a component."""
    own = labels[groups]
    start = 0
    while start < len(groups):
        end = min(start + GROUPS, len(groups))
        if end < len(groups):
            end = int(np.searchsorted(own, own[end - 1], side="right"))
        yield groups[start:end]
        start = end
