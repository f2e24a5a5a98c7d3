import doctest

from rich.cells import cell_len

import isoglot.core.text_columns
from isoglot.core.text_columns import aligned


def test_example():
    assert doctest.testmod(isoglot.core.text_columns).failed == 0


def test_every_line_takes_the_same_cells():
    rows = [["language", "de", "zh-Hant"], ["Deutsch", "1", "2"], ["中文（繁體）", "1234567", "3"]]
    assert len({cell_len(line) for line in aligned(rows, (5, 5, 5))}) == 1
