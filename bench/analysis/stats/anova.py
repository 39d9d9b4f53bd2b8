"""A factorial design taken apart: seed-blocked analysis of variance with two-way interactions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc

from bench.analysis.stats.blocks import fit, pseudo_inverse, ratio

SEED, HIGHER, RESIDUAL = "seed", "higher", "residual"
Term = tuple[int, ...]  # numbers of the factors in it


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        factors: numbers of the factors of a main effect or two-way interaction; else empty.
        kind: ``main``, ``interaction``, or one of ``seed``, ``higher`` (all interactions of more
            than two factors together) and ``residual``.
        ss: sum of squares.
        df: degrees of freedom.
        f: mean square over that of the residual; NaN in the line of the residual.
        p: of the F test.
        omega2: partial ω², the share of the variance that the term explains beside the residual;
            an estimate without bias, so it may fall below 0.
    """

    factors: Term
    kind: str
    ss: float
    df: int
    f: float
    p: float
    omega2: float


def anova(values: ArrayLike, levels: Sequence[Sequence[int]]) -> tuple[Row, ...]:
    """Take the variance between trials apart.

    Sums of squares are of type II: a term is adjusted for every term that does not contain it.
    In a complete grid all types agree; type II is also defined where cells are empty, which
    type III is not. The residual is what seeds leave over within the cells, so interactions of
    many factors do not pass for noise, and with two levels F is the square of the contrast's t.

    Args:
        values: (R, S), a row for each cell of the design, a column for each seed; NaN where
            missing, but at least one value in each row.
        levels: (R, F) number of the level of each factor in each cell.

    Returns:
        Seeds, factors, pairs of factors, higher interactions where there are any, residual;
        nothing where no degree of freedom is left for the residual.

    Source: partial ω² = df (F - 1) / (df (F - 1) + N), Keren and Lewis (1979).
    """
    table = np.asarray(values, dtype=np.float64)
    cells = fit(table)
    if cells.df <= 0:
        return ()
    numbers = np.asarray(levels, dtype=np.int64)
    count = numbers.shape[1]
    mains: list[Term] = [(i,) for i in range(count)]
    pairs: list[Term] = list(itertools.combinations(range(count), 2))
    squares = _Squares(table, numbers, [*mains, *pairs])

    def row(kind: str, factors: Term, ss: float, df: int) -> Row:
        f = ratio(ss / df, cells.variance)
        p = 0.0 if np.isinf(f) else float(fdtrc(df, cells.df, f))
        excess = df * (f - 1)
        omega2 = 1.0 if np.isinf(f) else excess / (excess + squares.size)
        return Row(factors, kind, ss, df, f, p, omega2)

    rows = [row(SEED, (), *squares.of_seeds(cells.variance * cells.df, cells.df))]
    for term in (*mains, *pairs):
        others = [t for t in (*mains, *pairs) if not set(term) <= set(t)]
        ss, df = squares.between(others, [*others, term])
        if df:
            rows.append(row("main" if len(term) == 1 else "interaction", term, ss, df))
    ss, rank = squares.left([*mains, *pairs])
    higher, df = ss - cells.variance * cells.df, squares.size - rank - cells.df
    if df:
        rows.append(row(HIGHER, (), squares.rounded(higher), df))
    nan = float("nan")
    return (*rows, Row((), RESIDUAL, cells.variance * cells.df, cells.df, nan, nan, nan))


class _Squares:
    """Residual sums of squares of models of one table, from normal equations set up once."""

    def __init__(
        self, table: NDArray[np.float64], levels: NDArray[np.int64], terms: Sequence[Term]
    ) -> None:
        cell, seed = np.nonzero(~np.isnan(table))
        values = table[cell, seed]
        self.size, self._cells, self._values = len(cell), cell, values - values.mean()
        blocks = [_indicators(seed), *(_indicators(_joint(levels[cell], term)) for term in terms)]
        ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
        self._places = dict(zip(terms, map(np.arange, ends[1:-1], ends[2:]), strict=True))
        self._seeds = np.arange(ends[1])
        columns = np.hstack(blocks)
        self._gram, self._sums = columns.T @ columns, columns.T @ self._values
        self._total = float(self._values @ self._values)
        # What cancels to less than this is rounding.
        self._nothing = 1e-11 * self._total + self.size * (1e-12 * np.abs(values).max()) ** 2
        self._known: dict[frozenset[Term], tuple[float, int]] = {}

    def left(self, terms: Iterable[Term]) -> tuple[float, int]:
        """Return residual sum of squares and rank of a model of seeds and these terms."""
        key = frozenset(terms)
        if key not in self._known:
            at = np.concatenate([self._seeds, *(self._places[term] for term in sorted(key))])
            sums = self._sums[at]
            inverse, rank = pseudo_inverse(self._gram[np.ix_(at, at)])
            self._known[key] = self._total - float(sums @ inverse @ sums), rank
        return self._known[key]

    def between(self, small: Iterable[Term], large: Iterable[Term]) -> tuple[float, int]:
        """Return sum of squares and degrees of freedom by which two models differ."""
        (above, few), (below, many) = self.left(small), self.left(large)
        return self.rounded(above - below), many - few

    def of_seeds(self, residual: float, df: int) -> tuple[float, int]:
        """Return what seeds explain beside the cells, given what both together leave."""
        means = np.bincount(self._cells, self._values) / np.bincount(self._cells)
        within = float(((self._values - means[self._cells]) ** 2).sum())
        return self.rounded(within - residual), self.size - len(means) - df

    def rounded(self, ss: float) -> float:
        """Return a sum of squares without what is only rounding."""
        return ss if ss > self._nothing else 0.0


def _joint(labels: NDArray[np.int64], term: Term) -> NDArray[np.int64]:
    """Return a number for each combination of the levels of the factors in a term."""
    number = np.zeros(len(labels), dtype=np.int64)
    for factor in term:
        number = number * (int(labels[:, factor].max()) + 1) + labels[:, factor]
    return number


def _indicators(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(labels[:, None] == np.unique(labels), dtype=np.float64)
