"""Differences between means of arms whose runs share nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.analysis.stats.blocks import Array, Contrast, tested


def contrast(samples: Sequence[Array], weights: Sequence[float]) -> Contrast:
    """Estimate a sum of means of independent samples with weights that sum to 0.

    Spreads may differ. Of a sample with fewer than two values the error is unknown, and so is
    that of the contrast.

    Source: Welch (1947), with degrees of freedom of Satterthwaite (1946), rounded down, which
    makes intervals a little wider.
    """
    means = np.array([sample.mean() if len(sample) else math.nan for sample in samples])
    difference = float(np.dot(weights, means))
    if min(map(len, samples)) < 2:
        return Contrast(difference)
    each = [
        w**2 * sample.var(ddof=1) / len(sample) for w, sample in zip(weights, samples, strict=True)
    ]
    parts = np.array(each)
    df = np.array([len(sample) - 1 for sample in samples])
    error = math.sqrt(parts.sum())
    effective = int(parts.sum() ** 2 / (parts**2 / df).sum() + 1e-9) if error else int(df.sum())
    return tested(difference, error, effective)
