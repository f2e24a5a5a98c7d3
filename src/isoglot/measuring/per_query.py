"""Per-query values: matrices (groups, cells), and the Parquet table that stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.core.short_repr import brief
from isoglot.measuring.ranks import Floats

Cell = tuple[str, str]

MONO, CROSS, POOL = "monolingual", "cross_lingual", "multilingual"
DELETION = "one_target_deletion"  # its cells are (query language, deleted language)
SETTINGS = (MONO, CROSS, POOL, DELETION)
ALL = "all"  # the passage language of the pooled setting
TABLE = "per_query.parquet"


@dataclass(frozen=True, eq=False)
class Values:
    """Per-query values of one measure in one setting, as a matrix for the bootstrap over groups.

    Attributes:
        setting: `monolingual`, `cross_lingual`, `multilingual` or `one_target_deletion`.
        measure: such as `map`.
        cells: (query language, passage language or `all`) of each column; none in the cross-lingual setting if no
            query is answered in another language.
        matrix: (groups, cells) float64, NaN where a group has no such query or nothing relevant to it.
    """

    setting: str
    measure: str
    cells: tuple[Cell, ...]
    matrix: Floats

    __repr__ = brief

    def numbers(self, languages: set[str]) -> NDArray[np.int64]:
        """Indices of the columns whose query language is in `languages`."""
        return np.array([index for index, cell in enumerate(self.cells) if cell[0] in languages], np.int64)


def cells_of(setting: str, languages: tuple[str, ...]) -> tuple[Cell, ...]:
    """The cells of a setting: (query language, other language or `all`) for each column of its matrices."""
    if setting == MONO:
        return tuple((lang, lang) for lang in languages)
    if setting == CROSS:
        return tuple((x, y) for x in languages for y in languages if x != y)
    if setting == DELETION:
        return tuple((x, y) for x in languages for y in languages)
    return tuple((lang, ALL) for lang in languages)


def write_values(path: Path, benchmark: str, groups: list[str], measured: Sequence[Values]) -> None:
    """Write per-query values, one row each.

    The columns: benchmark, setting, query_lang, passage_lang, group, query_id, measure, value.

    Args:
        path: of the Parquet file.
        benchmark: its name.
        groups: names of the matrices' rows.
        measured: one item per setting and measure.
    """
    names: Any = pa.array(groups, pa.string())
    parts = []
    for values in measured:
        rows, columns = (index.astype(np.int64) for index in np.nonzero(~np.isnan(values.matrix)))
        langs: Any = pa.array([cell[0] for cell in values.cells], pa.string()).take(columns)
        others = pa.array([cell[1] for cell in values.cells], pa.string()).take(columns)
        asked = names.take(rows)
        parts.append(
            pa.table(
                {
                    "benchmark": pa.repeat(pa.scalar(benchmark), len(rows)),
                    "setting": pa.repeat(pa.scalar(values.setting), len(rows)),
                    "query_lang": langs,
                    "passage_lang": others,
                    "group": asked,
                    "query_id": pc.binary_join_element_wise(langs, asked, ":"),
                    "measure": pa.repeat(pa.scalar(values.measure), len(rows)),
                    "value": pa.array(values.matrix[rows, columns], pa.float64()),
                }
            )
        )
    with atomic_write(path) as temporary:
        pq.write_table(pa.concat_tables(parts), temporary, compression="zstd")


def read_table(path: Path) -> Any:
    """Read a table written by `write_values`.

    Raises:
        InputError: the file is missing or unreadable.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error
        raise InputError(f"{path}: cannot be read ({reason}); evaluate again") from error


def values_of(table: Any, languages: tuple[str, ...]) -> tuple[list[str], dict[tuple[str, str], Values]]:
    """Return the groups, and the values by (setting, measure), of a table written by `write_values`.

    Raises:
        KeyError: a column is missing, or a row has a language that is not in `languages`.
    """
    groups: list[str] = sorted(map(str, table.column("group").unique().to_pylist()))
    values: dict[tuple[str, str], Values] = {}
    codes, names = pa.array([*languages, ALL]), pa.array(groups)
    number = {code: index for index, code in enumerate([*languages, ALL])}
    keys: Any = table.select(["setting", "measure"]).group_by(["setting", "measure"]).aggregate([]).to_pylist()
    for key in keys:
        setting, measure = key["setting"], key["measure"]
        part = table.filter(pc.and_(pc.equal(table["setting"], setting), pc.equal(table["measure"], measure)))
        cells = cells_of(setting, languages)
        column_of = np.full((len(codes), len(codes)), -1)
        for index, (query, passage) in enumerate(cells):
            column_of[number[query], number[passage]] = index
        asked, found = (pc.index_in(part[name], codes) for name in ("query_lang", "passage_lang"))
        if asked.null_count or found.null_count:
            raise KeyError(f"a {setting} row of a language that metrics.json does not name")
        columns = column_of[asked.to_numpy(), found.to_numpy()]
        matrix = np.full((len(groups), len(cells)), np.nan)
        matrix[pc.index_in(part["group"], names).to_numpy(), columns] = part["value"].to_numpy()
        values[setting, measure] = Values(setting, measure, cells, matrix)
    # Without cross-lingual answers there are no such rows, but the setting exists.
    for measure in [measure for setting, measure in values if setting == MONO]:
        values.setdefault((CROSS, measure), Values(CROSS, measure, (), np.empty((len(groups), 0))))
    return groups, values


def mean_of(values: Floats) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def column_means(matrix: Floats) -> list[float]:
    """Mean of each column over its values that are not NaN; NaN if there are none."""
    present = ~np.isnan(matrix)
    sums = np.where(present, matrix, 0.0).sum(axis=0)
    counts = present.sum(axis=0)
    means: list[float] = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0).tolist()
    return means
