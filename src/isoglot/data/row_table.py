"""The integer arrays of parallel rows: the group, language, data set and passage component of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.short_repr import brief
from isoglot.data.big_arrays import Ints, Room, parts
from isoglot.data.lookups import lay_out


@dataclass(frozen=True, eq=False)
class RowTable:
    """Integer arrays over rows, and the look-ups that sampling needs; O(rows) in all, never O(rows x languages).

    Groups of one data set have consecutive numbers. Arrays may be memory-mapped.

    Attributes:
        languages, datasets: names, in the order of the numbers in `lang` and `dataset`.
        lang, dataset, group, component: (rows,) numbers of each row.
        keys, key_rows: (rows,) sorted `group * len(languages) + lang`, and the row of each. A key occurs once for
            each passage of the group's query in that language.
        group_offsets: (groups + 1,) range of each group in `keys`.
        group_dataset_offsets: (datasets + 1,) group range of each data set.
        lang_rows: (rows,) first the first row of each (group, language), sorted by (data set, language); then all
            other rows.
        lang_offsets: (datasets * languages + 1,) ranges in `lang_rows`.
        pair_groups: (datasets, languages, languages) number of groups that have both languages.
        pair_components: the same for distinct components: the largest possible batch.
        dataset_components: (datasets,) number of distinct components.
        parallel_components: (datasets,) number of distinct components among groups with at least two languages.
        cross_only: names of the data sets without questions (bitext), in which a text is paired with its translation,
            never with itself.
    """

    languages: tuple[str, ...]
    datasets: tuple[str, ...]
    lang: Ints
    dataset: Ints
    group: Ints
    component: Ints
    keys: Ints
    key_rows: Ints
    group_offsets: Ints
    group_dataset_offsets: Ints
    lang_rows: Ints
    lang_offsets: Ints
    pair_groups: Ints
    pair_components: Ints
    dataset_components: Ints
    parallel_components: Ints
    cross_only: tuple[str, ...] = ()

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.lang)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.group_dataset_offsets[-1])

    @property
    def cells(self) -> Ints:
        """The first row of each (group, language), (cells,)."""
        return self.lang_rows[: int(self.lang_offsets[-1])]

    @property
    def several(self) -> bool:
        """Whether any query has several passages in a language."""
        return int(self.lang_offsets[-1]) < len(self.lang)

    @property
    def same_language(self) -> NDArray[np.bool_]:
        """Whether each data set has pairs of a query and a passage in the same language, (datasets,)."""
        return np.array([name not in self.cross_only for name in self.datasets], dtype=bool)

    def rows_of_groups(self, groups: Ints, lang: int, pick: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
        """Return one row of each given group in one language, (n,) int64; -1 if a group lacks the language.

        Args:
            groups: (n,) group numbers.
            lang: number of the language.
            pick: (n,) numbers in [0, 1) that choose among several rows; the first row if None.
        """
        wanted = groups.astype(np.int64) * len(self.languages) + lang
        if self.several:
            at = np.searchsorted(self.keys, wanted)
            if pick is not None:
                counts = np.searchsorted(self.keys, wanted, "right") - at
                at = at + (pick * counts).astype(np.int64)
            at = np.minimum(at, len(self.keys) - 1)
            return np.where(self.keys[at] == wanted, self.key_rows[at], -1).astype(np.int64)
        starts, counts = self.group_ranges(groups)
        # A group's rows are in language order, one each: the row of language `lang` is at most `lang` after the first.
        at = starts + np.minimum(lang, counts - 1)
        found = np.asarray(self.keys[at])
        ahead = np.flatnonzero((found > wanted) & (at > starts))
        while len(ahead):
            at[ahead] -= 1
            found[ahead] = self.keys[at[ahead]]
            ahead = ahead[(found[ahead] > wanted[ahead]) & (at[ahead] > starts[ahead])]
        return np.where(found == wanted, self.key_rows[at], -1).astype(np.int64)

    def group_ranges(self, groups: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return each group's range in `key_rows` (its rows, in language order): starts and counts, (n,) int64."""
        starts = np.asarray(self.group_offsets[groups], dtype=np.int64)
        return starts, self.group_offsets[np.asarray(groups, dtype=np.int64) + 1] - starts

    @classmethod
    def from_columns(
        cls,
        groups: Sequence[str],
        langs: Sequence[str],
        passages: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        queries: Sequence[str] | None = None,
        *,
        cross_only: Sequence[str] = (),
    ) -> RowTable:
        """Build a table from plain columns, one entry per row.

        Args:
            groups: group names, unique within a data set.
            langs: language codes.
            passages: passage texts; equal texts, in any languages, join their groups into one component. If a (data
                set, group, language) occurs again with another passage, that is another passage of the same query.
            datasets: data set names; if None, all rows are in one data set.
            queries: query texts; equal texts join their groups as equal passages do, and all passages of a (data set,
                group, language) must have the same query.
            cross_only: names of the data sets without questions.

        Raises:
            InputError: columns differ in length or are empty, or a (data set, group, language) occurs twice with the
                same passage, with different queries or without passages.
        """
        names = datasets if datasets is not None else ["rows"] * len(groups)
        lengths = [len(column) for column in (groups, langs, passages, datasets, queries) if column is not None]
        if not lengths[0] or len(set(lengths)) > 1:
            raise InputError(f"columns of {', '.join(map(str, lengths))} entries; they must be equal, not 0")
        languages, lang = np.unique(np.asarray(langs, dtype=object).astype(str), return_inverse=True)
        dataset_names, dataset = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
        _, name = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        texts, asked = (
            None if column is None else np.unique(np.asarray(column, dtype=object), return_inverse=True)[1]
            for column in (passages, queries)
        )
        codes, names = tuple(map(str, languages)), tuple(map(str, dataset_names))
        return cls.from_numbers(
            codes, names, lang, dataset, name, texts, asked, cross_only=tuple(cross_only), room=Room()
        )

    @classmethod
    def from_numbers(
        cls,
        languages: tuple[str, ...],
        datasets: tuple[str, ...],
        lang: Ints,
        dataset: Ints,
        group_name: Ints,
        passage_text: Ints | None,
        query_text: Ints | None = None,
        *,
        cross_only: tuple[str, ...] = (),
        check: bool = True,
        renumber: tuple[Ints, Ints] | None = None,
        room: Room,
    ) -> RowTable:
        """Build a table from integer columns (rows,).

        Args:
            languages: names of the numbers in `lang`.
            datasets: names of the numbers in `dataset`.
            lang: number of each row's language.
            dataset: number of each row's data set.
            group_name: any integer that identifies the group's name within its data set (such as a hash).
            passage_text: any integer that identifies the passage's text (such as a hash), or None.
            query_text: the same for the query's text; if given, all passages of a (data set, group, language) must
                have the same query.
            cross_only: names of the data sets without questions.
            check: whether to check repeated rows; False if they are known to be valid.
            renumber: the new number of each number in `lang` and in `dataset`; unchanged if None.
            room: where the arrays are stored.

        Raises:
            DuplicateRowError: a (data set, group, language) occurs twice with the same passage, with different queries
                or without passages; the message gives 0-based row numbers.
        """
        short = {"lang": lang, "dataset": dataset}
        for number, (name, column) in enumerate(short.items()):
            short[name] = room.array(name, len(column), np.int16)
            for part in parts(len(column)):
                short[name][part] = column[part] if renumber is None else renumber[number][column[part]]
        arrays = lay_out(
            **short,
            group_name=group_name,
            passage_text=passage_text,
            query_text=query_text,
            check=check,
            languages=len(languages),
            datasets=len(datasets),
            room=room,
        )
        return cls(languages=languages, datasets=datasets, cross_only=cross_only, **short, **arrays)
