import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.data.table import DuplicateRowError, RowTable
from isoglot.errors import InputError


def naive_components(rows):
    """Union-find over rows: joined by (data set, group), and by (language, passage text)."""
    parent = list(range(len(rows)))

    def root(at):
        while parent[at] != at:
            at = parent[at]
        return at

    seen = {}
    for number, (dataset, group, lang, text) in enumerate(rows):
        for key in (("group", dataset, group), ("text", lang, text)):
            parent[root(number)] = root(seen.setdefault(key, number))
    return [root(number) for number in range(len(rows))]


@st.composite
def row_lists(draw):
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.sampled_from(["de", "en", "zh"])),
            min_size=1,
            max_size=40,
            unique=True,
        )
    )
    texts = draw(st.lists(st.integers(0, 25), min_size=len(keys), max_size=len(keys)))
    return [(dataset, f"g{group}", lang, f"t{text}") for (dataset, group, lang), text in zip(keys, texts, strict=True)]


def table_of(rows):
    datasets, groups, langs, texts = map(list, zip(*rows, strict=True))
    return RowTable.from_columns(groups, langs, texts, datasets)


@given(row_lists())
def test_components_equal_a_naive_union_find(rows):
    table, naive = table_of(rows), naive_components(rows)
    # Same partition, whatever the numbers.
    assert len(set(zip(table.component.tolist(), naive, strict=True))) == len(set(naive)) == len(set(table.component))
    assert sorted(set(table.component.tolist())) == list(range(len(set(naive))))


@given(row_lists())
def test_look_ups_equal_plain_python(rows):
    table, components = table_of(rows), naive_components(rows)
    groups = {}
    for number, (dataset, group, lang, _) in enumerate(rows):
        groups.setdefault((dataset, group), {})[lang] = number
    assert (len(table), table.groups) == (len(rows), len(groups))
    for members in groups.values():
        own = {int(table.group[row]) for row in members.values()}
        assert len(own) == 1
        starts, counts = table.group_ranges(np.array(list(own)))
        listed = table.key_rows[starts[0] : starts[0] + counts[0]].tolist()
        assert listed == [members[lang] for lang in sorted(members)]
        for number, lang in enumerate(table.languages):
            assert table.rows_of_groups(np.array(list(own)), number).tolist() == [members.get(lang, -1)]
    for d, dataset in enumerate(table.datasets):
        inside = {key: members for key, members in groups.items() if key[0] == dataset}
        start, end = table.group_dataset_offsets[d], table.group_dataset_offsets[d + 1]
        assert set(range(start, end)) == {int(table.group[row]) for m in inside.values() for row in m.values()}
        for x, lang in enumerate(table.languages):
            at = d * len(table.languages) + x
            mine = table.lang_rows[table.lang_offsets[at] : table.lang_offsets[at + 1]].tolist()
            assert sorted(mine) == [n for n, row in enumerate(rows) if (row[0], row[2]) == (dataset, lang)]
            for y, other in enumerate(table.languages):
                both = [m[lang] for m in inside.values() if lang in m and other in m]
                assert table.pair_groups[d, x, y] == len(both)
                assert table.pair_components[d, x, y] == len({components[row] for row in both})
        rows_inside = [row for m in inside.values() for row in m.values()]
        parallel = [row for m in inside.values() if len(m) > 1 for row in m.values()]
        assert table.dataset_components[d] == len({components[row] for row in rows_inside})
        assert table.parallel_components[d] == len({components[row] for row in parallel})


def test_components_worked_by_hand():
    # a and b share a German passage, b and c an English one; d has a's German text, but in English.
    table = RowTable.from_columns(["a", "b", "b", "c", "d"], ["de", "de", "en", "en", "en"], ["x", "x", "y", "y", "x"])
    component = table.component.tolist()
    assert component[0] == component[1] == component[2] == component[3] != component[4]
    assert table.pair_groups[0].tolist() == [[2, 1], [1, 3]]
    assert table.pair_components[0].tolist() == [[1, 1], [1, 2]]
    # Without texts every group stands alone.
    alone = RowTable.from_columns(["a", "b", "b"], ["de", "de", "en"])
    assert alone.component[0] != alone.component[1] == alone.component[2]


def test_the_same_group_name_in_two_data_sets_is_two_groups():
    table = RowTable.from_columns(["a", "a"], ["de", "de"], ["x", "y"], ["one", "two"])
    assert table.groups == 2
    assert table.component[0] != table.component[1]


def test_repeated_rows_are_refused():
    with pytest.raises(DuplicateRowError, match="rows 1 and 3") as caught:
        RowTable.from_columns(["a", "b", "b", "b"], ["de", "de", "en", "de"])
    assert (caught.value.first, caught.value.second, caught.value.exit_code) == (1, 3, 2)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([], []), "columns of 0, 0 "),
        ((["a"], ["de", "en"]), "columns of 1, 2 "),
        ((["a", "b"], ["de", "en"], ["x"]), "columns of 2, 2, 1 "),
        ((["a", "b"], ["de", "en"], None, ["d"]), "columns of 2, 2, 1 "),
    ],
)
def test_columns_that_do_not_fit(columns, words):
    with pytest.raises(InputError, match=words):
        RowTable.from_columns(*columns)
