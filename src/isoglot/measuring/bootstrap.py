"""Bootstrap intervals over groups (all language versions of a question), paired between runs.

Per-query values form a matrix (groups G, cells C), NaN where missing; a cell is a query language, or an
ordered pair of languages. The statistic is the macro mean: the mean over cells of the mean over a cell's
groups. A resample draws groups with replacement, the same for all cells and for both runs of a pair, so that
translations of one question do not count as independent evidence.

Percentiles of a bootstrap of few groups are too narrow, and resampling two or three seeds hardly shows how far seeds
differ. So percentiles are taken further out, as far as Student's t of as many groups is wider than the normal
distribution (Hesterberg 2015, "What teachers should know about the bootstrap", 4.3), and the variance between seeds is
estimated, not resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.measuring.ranks import Array, Floats

Key = tuple[str, str]

CHUNK_BYTES = 2**25
FEWEST_GROUPS = 6  # that can show anything at .05: 2 / 2^5 is more


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its percentile bootstrap interval; `p` is None unless two runs were compared."""

    estimate: float
    low: float
    high: float
    p: float | None
    groups: int
    standard_error: float


def group_weights(n_groups: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw multinomial weights, float32 (R, G): how often each group is drawn; every row sums to G."""
    drawn = rng.integers(n_groups, size=(resamples, n_groups))
    drawn += n_groups * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * n_groups)
    return counts.reshape(resamples, n_groups).astype(np.float32)


def macro_mean(values: Array) -> float:
    """Mean over cells of the mean over groups, for values (G, C); cells without values are left out.

    >>> macro_mean(np.array([[1.0, 0.0, np.nan], [0.0, np.nan, np.nan]]))
    0.25
    """
    cells = _mean_present(np.asarray(values, np.float64).T)
    return float(_mean_present(cells[None])[0])


def interval(values: Array, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95) -> Interval:
    """Percentile bootstrap interval of the macro mean.

    Args:
        values: floats (G, C), or (S, G, C) for S seeds: then the interval holds their variation as well, as in
            `paired_difference`.
        resamples: how many bootstrap resamples.
        seed: of the resampling.
        level: nominal coverage of the interval.

    Raises:
        InputError: wrong number of dimensions, no value at all, or resamples or level out of range.
    """
    found = intervals({_ALL: values}, {_ALL: _every(values)}, resamples=resamples, seed=seed, level=level)
    return _only(found)


def paired_difference(a: Array, b: Array, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95) -> Interval:
    """Macro mean of run a minus that of run b, over the cells and groups that both have.

    Both runs use the same resampled groups. p is two-sided, from the share of resampled differences at or beyond zero,
    with one added to count and total, so it is never 0 (Davison and Hinkley 1997, 4.2). Nor is it ever below 2 / 2^G,
    the smallest p of an exact sign-flip test on G groups: if two groups both gained, no resample of them shows a loss,
    but that is no evidence. So fewer than six groups are never significant at .05.

    With several seeds, the variance of their means is added: estimated from both runs together, with S_a + S_b - 2
    degrees of freedom, and combined with that of the groups (Satterthwaite 1946). A run of a single seed is taken as it
    is, such as an untrained model. Only values that all seeds have are used.

    Args:
        a: floats (G, C) or (S, G, C), NaN where missing.
        b: the same groups and cells; S may differ.
        resamples: how many bootstrap resamples.
        seed: of the resampling.
        level: nominal coverage of the interval.

    Raises:
        InputError: shapes disagree, there is no common value, or resamples or level are out of range.
    """
    found = paired_differences({_ALL: a}, {_ALL: b}, {_ALL: _every(a)}, resamples=resamples, seed=seed, level=level)
    return _only(found)


def intervals(
    matrices: Mapping[Key, Array],
    slices: Mapping[Key, Mapping[str, Array]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[Key, dict[str, Interval]]:
    """Intervals of many macro means over the same groups, all from the same resamples.

    Args:
        matrices: floats (G, C) by name, NaN where missing; G is the same for all.
        slices: by the same names, then by slice name: the columns to average, as integers.
        resamples: how many bootstrap resamples.
        seed: of the resampling.
        level: nominal coverage of the intervals.

    Returns:
        Intervals by name and slice; slices without any value are left out.

    Raises:
        InputError: matrices of different numbers of groups, or resamples or level out of range.
    """
    return _many([{key: _seeds(values) for key, values in matrices.items()}], slices, resamples, seed, level)


def paired_differences(
    a: Mapping[Key, Array],
    b: Mapping[Key, Array],
    slices: Mapping[Key, Mapping[str, Array]],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[Key, dict[str, Interval]]:
    """`paired_difference` for many slices of many measures, all from the same resamples.

    Unlike there, groups without a value in a slice are drawn too (but do not contribute to it).

    Args:
        a: floats (G, C) or (S, G, C) by name.
        b: the same names, groups and cells; S may differ.
        slices: as in `intervals`.
        resamples: how many bootstrap resamples.
        seed: of the resampling.
        level: nominal coverage of the intervals.

    Returns:
        Intervals of a minus b by name and slice; slices without a common value are left out.

    Raises:
        InputError: shapes disagree, or resamples or level are out of range.
    """
    runs: list[dict[Key, Array]] = [{}, {}]
    for key in slices:
        x, y = _seeds(a[key]), _seeds(b[key])
        if x.shape[1:] != y.shape[1:]:
            raise InputError(f"runs have (groups, cells) {x.shape[1:]} and {y.shape[1:]}; align them first")
        missing = np.isnan(x).any(axis=0) | np.isnan(y).any(axis=0)
        runs[0][key], runs[1][key] = np.where(missing, np.nan, x), np.where(missing, np.nan, y)
    return _many(runs, slices, resamples, seed, level)


def holm(p_values: Sequence[float] | Array) -> Floats:
    """Holm's step-down adjusted p-values (Holm 1979), float64 in the order given.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError("p-values must be a flat list of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def minimal_detectable(standard_error: float, power: float = 0.8, level: float = 0.95) -> float:
    """Smallest true difference that a two-sided test at confidence `level` detects with probability `power`.

    (z_{(1 + level) / 2} + z_power) standard errors, by the normal approximation: 2.80 of them by default.
    """
    normal = NormalDist()
    return (normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)) * standard_error


def _many(
    runs: list[dict[Key, Array]],
    slices: Mapping[Key, Mapping[str, Array]],
    resamples: int,
    seed: int,
    level: float,
) -> dict[Key, dict[str, Interval]]:
    """Intervals of one run's macro means, or of the differences between two runs; matrices are (S, G, C)."""
    if resamples < 2 or not 0 < level < 1:
        raise InputError(f"resamples is {resamples}, level {level}; expected 2 or more, and between 0 and 1")
    sizes = {values.shape[1] for run in runs for values in run.values()}
    if len(sizes) > 1:
        raise InputError(f"matrices have {sorted(sizes)} groups; align them first")
    missing = {key: np.logical_or.reduce([np.isnan(run[key]).any(axis=0) for run in runs]) for key in runs[0]}
    wanted = [
        (key, name, columns[~missing[key][:, columns].all(axis=0)])
        for key, parts in slices.items()
        for name, columns in parts.items()
        if not missing[key][:, columns].all()
    ]
    found: dict[Key, dict[str, Interval]] = {key: {} for key in slices}
    if not wanted:
        return found
    means = {
        key: np.where(absent, np.nan, runs[0][key].mean(axis=0) - sum(run[key].mean(axis=0) for run in runs[1:]))
        for key, absent in missing.items()
    }
    rng, seeds_rng = np.random.default_rng(seed).spawn(2)
    draws = _draw(means, [(key, columns) for key, _, columns in wanted], resamples, rng)
    noise = seeds_rng.standard_normal(resamples)
    for (key, name, columns), drawn in zip(wanted, draws, strict=True):
        kept = ~np.isnan(drawn)
        gone = missing[key][:, columns]
        seeds = [
            np.array([macro_mean(np.where(gone, np.nan, own[:, columns])) for own in run[key]])
            for run in runs
            if len(run[key]) > 1
        ]
        found[key][name] = _summary(
            drawn[kept].astype(np.float64),
            noise[kept],
            macro_mean(means[key][:, columns]),
            int((~gone).any(axis=1).sum()),
            *_between(seeds),
            level,
            paired=len(runs) == 2,
        )
    return found


def _between(seeds: Sequence[Floats]) -> tuple[float, int]:
    """Variance of a mean over seeds, or of the difference of two such means, and its degrees of freedom.

    Args:
        seeds: of each run with several seeds, the figure of every seed.
    """
    freedom = sum(len(own) - 1 for own in seeds)
    squares = sum(float(((own - own.mean()) ** 2).sum()) for own in seeds)
    return squares / max(freedom, 1) * sum(1 / len(own) for own in seeds), freedom


def _summary(
    drawn: Floats, noise: Floats, estimate: float, groups: int, between: float, freedom: int, level: float, paired: bool
) -> Interval:
    """Interval and p of an estimate.

    Args:
        drawn: (R,) the estimate under resamples of the groups.
        noise: (R,) standard normal, for the variation between seeds.
        estimate: from all groups.
        groups: how many there are.
        between: variance of the estimate between seeds; 0 for single seeds.
        freedom: degrees of freedom of `between`.
        level: nominal coverage.
        paired: whether the estimate is a difference, which has a p.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    size, of_groups = len(drawn), max(groups - 1, 1)
    within = drawn.var(ddof=1)
    grown = within * groups / of_groups  # the bootstrap divides by G where the unbiased variance divides by G - 1
    total = grown + between
    degrees = total**2 / (grown**2 / of_groups + between**2 / freedom) if between else float(of_groups)
    wide = stdtrit(degrees, (1 + level) / 2)
    # Percentiles at +-reach (in normal standard deviations) of the draws, but not beyond what R draws can tell.
    reach = min(stdtrit(of_groups, (1 + level) / 2) * (groups / of_groups) ** 0.5, -ndtri(1 / (size + 1)))
    if between:
        drawn = drawn + noise * max(wide**2 * total / reach**2 - within, 0.0) ** 0.5
    low, high = np.quantile(drawn, (ndtr(-reach), ndtr(reach)))
    p = None
    if paired:
        tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
        far = max(-ndtri((tail + 1) / (size + 1)), 0.0)
        if not tail:  # zero is beyond all draws: how far, only their spread can tell
            far = max(far, abs(estimate) / max(drawn.std(), 1e-300))
        p = min(1.0, max(2 * float(stdtr(degrees, -far * wide / reach)), 2 / (size + 1), 2.0 ** (1 - groups)))
    return Interval(estimate, float(low), float(high), p, groups, float(total**0.5))


def _draw(
    means: Mapping[Key, Array], wanted: list[tuple[Key, Array]], resamples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Macro means under every resample of the groups: (wanted, resamples).

    Args:
        means: floats (G, C) by name, NaN where missing.
        wanted: names and columns.
        resamples: how many.
        rng: draws the groups.
    """
    present = {key: ~np.isnan(values) for key, values in means.items()}
    used = np.logical_or.reduce([have.any(axis=1) for have in present.values()])
    masks = {key: have[used].astype(np.float32) for key, have in present.items()}
    marks = {key: np.packbits(have[used]).tobytes() for key, have in present.items()}
    filled = {key: np.nan_to_num(values[used]).astype(np.float32) for key, values in means.items()}
    groups = int(used.sum())
    draws = np.zeros((len(wanted), resamples), np.float32)
    step = max(1, CHUNK_BYTES // (8 * groups))
    for start in range(0, resamples, step):
        part = draws[:, start : start + step]
        weights = group_weights(groups, part.shape[1], rng)
        counts: dict[bytes, Array] = {}  # shared: measures of one setting mostly lack the same values
        for key, values in filled.items():
            mark = marks[key]
            if mark not in counts:
                counts[mark] = weights @ masks[key]
            count = counts[mark]
            cells = np.divide(weights @ values, count, out=np.full_like(count, np.nan), where=count > 0)
            for row, (name, columns) in enumerate(wanted):
                if name == key:
                    part[row] = _mean_present(cells[:, columns])
    return draws


def _mean_present(values: Array) -> Array:
    """Mean of each row over its values that are not NaN; NaN if there are none."""
    if values.shape[1] and not np.isnan(values).any():
        mean: Array = values.mean(axis=1)
        return mean
    present = ~np.isnan(values)
    kept = present.sum(axis=1)
    sums = np.nan_to_num(values).sum(axis=1)
    means: Array = np.divide(sums, kept, out=np.full(len(kept), np.nan), where=kept > 0)
    return means


_ALL = ("", "")  # the key of a single matrix


def _every(values: Array) -> dict[str, Array]:
    """A single slice with all columns."""
    return {"all": np.arange(values.shape[-1])}


def _only(found: dict[Key, dict[str, Interval]]) -> Interval:
    if not found[_ALL]:
        raise InputError("there is no value to average; check that runs share queries and languages")
    return found[_ALL]["all"]


def _seeds(values: Array) -> Array:
    if values.ndim not in (2, 3) or not len(values):
        raise InputError(f"values have shape {values.shape}; expected (groups, cells) or (seeds, groups, cells)")
    return values if values.ndim == 3 else values[None]
