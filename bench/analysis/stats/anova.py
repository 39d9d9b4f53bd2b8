"""Seed-blocked analysis of variance of a factorial design, with two-way interactions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc

from bench.analysis.stats.blocks import Array, fit, pseudo_inverse, ratio

SEED, HIGHER, RESIDUAL = "seed", "higher", "residual"
Term = tuple[int, ...]  # numbers of the factors in it


@dataclass(frozen=True)
class Row:
    """A line of the table: sum of squares, degrees of freedom, F test; NaN for the residual.

    ``kind`` is ``main`` or ``interaction``, which have ``factors``, or one of ``seed``, ``higher``
    (all interactions of more than two factors together) and ``residual``.
    """

    factors: tuple[str, ...]
    kind: str
    ss: float
    df: int
    f: float
    p: float
    omega2: float  # partial ω², an unbiased estimate of a share, so it may be negative


def anova(values: ArrayLike, levels: Mapping[str, Sequence[int]]) -> tuple[Row, ...]:
    """Analyse the variance between trials.

    Sums of squares are of type II: a term is adjusted for every term that does not contain it.
    In a complete grid all types agree; type II is also defined where cells are empty, which
    type III is not. The residual is what seeds do not explain within the cells, so interactions
    of many factors are not part of it, and with two levels F is the square of the contrast's t.

    Args:
        values: (R, S), a row for each cell of the design, a column for each seed; NaN where
            missing, but at least one value in each row.
        levels: name of each factor → (R,) number of its level in each cell.

    Returns:
        Seeds, factors, pairs of factors, higher interactions where there are any, residual;
        nothing if the residual has no degree of freedom.

    Source: partial ω² = df (F - 1) / (df (F - 1) + N), Keren and Lewis (1979).
    """
    table = np.asarray(values, dtype=np.float64)
    cells = fit(table)
    if cells.df <= 0:
        return ()
    names, numbers = list(levels), np.array(list(levels.values()), dtype=np.int64).T
    factors = range(len(names))
    terms: list[Term] = [*((i,) for i in factors), *itertools.combinations(factors, 2)]
    squares = _Squares(table, numbers, terms)
    residual = cells.variance * cells.df

    def row(kind: str, term: Term, ss: float, df: int) -> Row:
        ss = ss if ss > squares.rounding else 0.0
        f = ratio(ss / df, cells.variance)
        p = 0.0 if np.isinf(f) else float(fdtrc(df, cells.df, f))
        excess = df * (f - 1)
        omega2 = 1.0 if np.isinf(f) else excess / (excess + squares.size)
        return Row(tuple(names[i] for i in term), kind, ss, df, f, p, omega2)

    within = squares.within_cells()
    rows = [row(SEED, (), within - residual, squares.size - len(table) - cells.df)]
    for term in terms:
        others = [t for t in terms if not set(term) <= set(t)]
        (above, few), (below, many) = squares.model(others), squares.model([*others, term])
        if many > few:
            kind = "main" if len(term) == 1 else "interaction"
            rows.append(row(kind, term, above - below, many - few))
    ss, rank = squares.model(terms)
    if df := squares.size - rank - cells.df:
        rows.append(row(HIGHER, (), ss - residual, df))
    return (*rows, Row((), RESIDUAL, residual, cells.df, math.nan, math.nan, math.nan))


class _Squares:
    """Residual sums of squares of models of one table, from normal equations set up once."""

    def __init__(self, table: Array, levels: NDArray[np.int64], terms: Sequence[Term]) -> None:
        self._cell, seed = np.nonzero(~np.isnan(table))
        values = table[self._cell, seed]
        self.size, self._values = len(values), values - values.mean()
        own = levels[self._cell]
        blocks = [_indicators(seed[:, None]), *(_indicators(own[:, term]) for term in terms)]
        ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
        self._seeds, *places = map(np.arange, ends[:-1], ends[1:])
        self._places = dict(zip(terms, places, strict=True))
        columns = np.hstack(blocks)
        self._gram, self._sums = columns.T @ columns, columns.T @ self._values
        self._total = float(self._values @ self._values)
        # A sum of squares is a difference of larger ones, so less than this is rounding.
        self.rounding = 1e-11 * self._total + self.size * (1e-12 * np.abs(values).max()) ** 2

    def model(self, terms: Iterable[Term]) -> tuple[float, int]:
        """Return residual sum of squares and rank of a model of seeds and these terms."""
        at = np.concatenate([self._seeds, *(self._places[term] for term in sorted(terms))])
        sums = self._sums[at]
        inverse, rank = pseudo_inverse(self._gram[np.ix_(at, at)])
        return self._total - float(sums @ inverse @ sums), rank

    def within_cells(self) -> float:
        """Return the residual sum of squares of a model of a mean for each cell, without seeds."""
        means = np.bincount(self._cell, self._values) / np.bincount(self._cell)
        return float(((self._values - means[self._cell]) ** 2).sum())


def _indicators(labels: NDArray[np.int64]) -> Array:
    """Return a column of 0 and 1 for each combination of (N, factors) labels that occurs."""
    found, which = np.unique(labels, axis=0, return_inverse=True)
    return np.eye(len(found))[which.reshape(-1)]
