import resource
import signal
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.data import big_arrays, lookups
from isoglot.data.big_arrays import Room, order_by
from isoglot.data.lookups import DuplicateRowError
from isoglot.data.row_table import RowTable
from support.rows import table_of


def naive_components(rows):
    """Union-find over rows: joined by (data set, group), and by passage text."""
    parent = list(range(len(rows)))

    def root(at):
        while parent[at] != at:
            at = parent[at]
        return at

    seen = {}
    for number, (dataset, group, _, text) in enumerate(rows):
        for key in (("group", dataset, group), ("text", text)):
            parent[root(number)] = root(seen.setdefault(key, number))
    return [root(number) for number in range(len(rows))]


@st.composite
def row_lists(draw):
    """(data set, group, language, passage) rows; a group may have several passages in a language, no passage twice."""
    keys = st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.sampled_from(["de", "en", "zh"]), st.integers(0, 25))
    one_passage = draw(st.booleans())
    rows = draw(st.lists(keys, min_size=1, max_size=40, unique_by=(lambda key: key[:3]) if one_passage else None))
    rows = list(dict.fromkeys(rows))
    return [(dataset, f"g{group}", lang, f"t{text}") for dataset, group, lang, text in rows]


def check_components(rows):
    """The components are those of a naive union-find."""
    table, naive = table_of(rows), naive_components(rows)
    # Same partition, whatever the numbers.
    assert len(set(zip(table.component.tolist(), naive, strict=True))) == len(set(naive)) == len(set(table.component))
    assert sorted(set(table.component.tolist())) == list(range(len(set(naive))))


def check_look_ups(rows):
    """Every look-up gives what plain Python finds."""
    table, components = table_of(rows), naive_components(rows)
    groups = {}
    for number, (dataset, group, lang, _) in enumerate(rows):
        groups.setdefault((dataset, group), {}).setdefault(lang, []).append(number)
    assert (len(table), table.groups) == (len(rows), len(groups))
    assert table.several == any(len(found) > 1 for members in groups.values() for found in members.values())
    assert sorted(table.cells.tolist()) == sorted(found[0] for members in groups.values() for found in members.values())
    for members in groups.values():
        own = {int(table.group[row]) for found in members.values() for row in found}
        assert len(own) == 1
        starts, counts = table.group_ranges(np.array(list(own)))
        listed = table.key_rows[starts[0] : starts[0] + counts[0]].tolist()
        assert listed == [row for lang in sorted(members) for row in members[lang]]
        for number, lang in enumerate(table.languages):
            found = members.get(lang, [-1])
            assert table.rows_of_groups(np.array(list(own)), number).tolist() == found[:1]
            for place, row in enumerate(found):
                pick = np.array([(place + 0.5) / len(found)])
                assert table.rows_of_groups(np.array(list(own)), number, pick).tolist() == [row]
    for d, dataset in enumerate(table.datasets):
        inside = {key: members for key, members in groups.items() if key[0] == dataset}
        start, end = table.group_dataset_offsets[d], table.group_dataset_offsets[d + 1]
        numbers = {int(table.group[row]) for m in inside.values() for found in m.values() for row in found}
        assert set(range(start, end)) == numbers
        for x, lang in enumerate(table.languages):
            at = d * len(table.languages) + x
            mine = table.lang_rows[table.lang_offsets[at] : table.lang_offsets[at + 1]].tolist()
            assert sorted(mine) == sorted(m[lang][0] for m in inside.values() if lang in m)
            for y, other in enumerate(table.languages):
                both = [m[lang][0] for m in inside.values() if lang in m and other in m]
                assert table.pair_groups[d, x, y] == len(both)
                assert table.pair_components[d, x, y] == len({components[row] for row in both})
        firsts = [row for m in inside.values() for row, *_ in m.values()]
        parallel = [row for m in inside.values() if len(m) > 1 for row, *_ in m.values()]
        assert table.dataset_components[d] == len({components[row] for row in firsts})
        assert table.parallel_components[d] == len({components[row] for row in parallel})


@given(row_lists())
def test_components_and_look_ups_equal_plain_python(rows):
    check_components(rows)
    check_look_ups(rows)


def test_components_worked_by_hand():
    # a and b share a German passage, b and c an English one; d has a's German text under another language.
    groups, langs = ["a", "b", "b", "c", "d", "e"], ["de", "de", "en", "en", "en", "en"]
    table = RowTable.from_columns(groups, langs, ["x", "x", "y", "y", "x", "z"])
    component = table.component.tolist()
    assert component[0] == component[1] == component[2] == component[3] == component[4] != component[5]
    assert table.pair_groups[0].tolist() == [[2, 1], [1, 4]]
    assert table.pair_components[0].tolist() == [[1, 1], [1, 2]]
    # Now c and e ask the same question.
    asked = RowTable.from_columns(groups, langs, [*"xxyyxz"], None, ["1", "2", "3", "4", "5", "4"])
    assert len(set(asked.component.tolist())) == 1
    # Without texts every group stands alone.
    alone = RowTable.from_columns(["a", "b", "b"], ["de", "de", "en"])
    assert alone.component[0] != alone.component[1] == alone.component[2]


def test_the_same_group_name_in_two_data_sets_is_two_groups():
    table = RowTable.from_columns(["a", "a"], ["de", "de"], ["x", "y"], ["one", "two"])
    assert table.groups == 2
    assert table.component[0] != table.component[1]


@pytest.mark.parametrize(
    ("passages", "queries", "words"),
    [
        (None, None, r"2 rows repeat .* without a passage .* rows 1 and 3"),
        (["x", "y", "z", "w", "y"], None, r"1 rows repeat .* with the same passage, such as rows 1 and 4"),
        (
            ["x", "y", "z", "w", "v"],
            ["a", "b", "c", "other", "b"],
            r"2 rows .* with another query, such as rows 1 and 3",
        ),
    ],
)
def test_repeated_rows_are_refused(passages, queries, words):
    with pytest.raises(DuplicateRowError, match=words) as caught:
        RowTable.from_columns(["a", "b", "b", "b", "b"], ["de", "de", "en", "de", "de"], passages, None, queries)
    assert caught.value.exit_code == 2


def test_several_passages_of_one_query_are_one_component():
    table = RowTable.from_columns(
        ["a", "a", "b", "c"], ["de", "de", "de", "de"], ["x", "y", "y", "z"], None, ["q", "q", "r", "s"]
    )
    assert (table.groups, table.several, table.cells.tolist()) == (3, True, [0, 2, 3])
    # b answers with a's second passage.
    assert table.component[0] == table.component[1] == table.component[2] != table.component[3]
    assert table.pair_components[0].tolist() == [[2]]


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


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Blocks of three rows and two groups, so that a handful of rows takes the way of millions."""
    monkeypatch.setattr(big_arrays, "BLOCK", 3)
    monkeypatch.setattr(lookups, "GROUPS", 2)


@pytest.mark.usefixtures("tiny_blocks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row_lists())
def test_in_blocks_the_look_ups_are_the_same(rows):
    check_look_ups(rows)
    check_components(rows)


@pytest.mark.usefixtures("tiny_blocks")
@given(row_lists(), st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_blocks_repeated_rows_are_refused(rows, place):
    rows = [*rows, rows[place % len(rows)]]
    datasets, groups, langs, texts = map(list, zip(*rows, strict=True))
    with pytest.raises(DuplicateRowError, match=rf"^1 rows .* rows {place % (len(rows) - 1)} and {len(rows) - 1};"):
        RowTable.from_columns(groups, langs, texts, datasets)
    queries = ["q"] * (len(rows) - 1) + ["other"]
    with pytest.raises(DuplicateRowError, match="with another query"):
        RowTable.from_columns(groups, langs, [*texts[:-1], "new"], datasets, queries)


WIDE = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize("keys", [WIDE, st.integers(-4, 4), st.sampled_from([-(2**63), 0, 1, 2**63 - 1])])
@pytest.mark.parametrize("block", [1, 3, 7])
def test_order_is_the_stable_one(keys, block):
    @given(st.lists(keys, min_size=1, max_size=40), st.randoms())
    def check(values, random):
        values = np.array(values, np.int64)
        out = np.empty(len(values), np.int32)
        assert order_by(values, out).tolist() == np.argsort(values, kind="stable").tolist()
        start = list(range(len(values)))
        random.shuffle(start)
        expected = sorted(start, key=lambda row: values[row])
        assert order_by(values, out, start=np.array(start)).tolist() == expected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(big_arrays, "BLOCK", block)
        check()


@pytest.mark.usefixtures("tiny_blocks")
def test_arrays_on_disk_equal_arrays_in_memory(tmp_path):
    draw = np.random.default_rng(0)
    lang, dataset = np.tile(np.arange(4), 25), np.repeat([0, 1], 50)
    name, text = np.repeat(draw.permutation(25), 4), draw.integers(0, 60, 100)
    given = (("a", "b", "c", "d"), ("x", "y"), lang, dataset, name, text)
    memory, disk = (RowTable.from_numbers(*given, room=room) for room in (Room(), Room(tmp_path)))
    for field in fields(RowTable):
        assert np.array_equal(getattr(memory, field.name), getattr(disk, field.name)), field.name
    assert isinstance(disk.keys, np.memmap)
    # Nothing that was needed on the way stays.
    assert {path.stem for path in tmp_path.iterdir()} <= {field.name for field in fields(RowTable)}


def test_a_full_disk_is_an_error_and_no_signal(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            Room(tmp_path).array("keys", 100_000, np.int64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
