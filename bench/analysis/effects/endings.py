"""Whether each run trained, collapsed or diverged.

A run has collapsed if it scores no better than the best of the predictors that never see the
images. Of a metric that confusion matrices do not give, V_rand say, these predictors have no
score. Then a run has collapsed if neither its mean IoU nor its mean class accuracy is better;
mean IoU alone is as low for a network that finds a rare class, but too often.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bench import metrics
from bench.evaluation.dummy_baselines import PERFECT, from_counts
from bench.store.checks import scores
from bench.store.frame import DONE, Results
from bench.store.image_counts import Counts

TRAINED, COLLAPSED, DIVERGED, UNKNOWN = "trained", "collapsed", "diverged", "unknown"
_INSTEAD = ("mean_iou", "mean_class_accuracy")  # of metrics that confusion matrices do not give
_ROUNDING = 1e-12


def judged_by(metric: str) -> tuple[str, ...]:
    """Return the metrics by all of which a collapsed run is no better than without the images."""
    return (metric,) if metrics.split(metric)[0] in scores(np.eye(1, dtype=np.int64)) else _INSTEAD


def endings(results: Results) -> dict[tuple[str, int], str]:
    """Return (arm, seed) → whether it trained, of runs that finished or diverged.

    Runs that ended otherwise, out of memory say, tell nothing about it and are left out, and so is
    whatever trains no network.
    """
    if not results.measurement.trains:
        return {}
    found = {}
    rows = zip(*(results.trials[name] for name in ("key", "arm", "seed", "status")), strict=True)
    for key, arm, seed, status in rows:
        if status == DIVERGED:
            found[arm, int(seed)] = DIVERGED
        elif status == DONE:
            found[arm, int(seed)] = _ending(results, key)
    return found


def to_beat(results: Results) -> tuple[float, ...]:
    """Return what predictors without images score at best, rising; where the metric judges."""
    if judged_by(results.metric) != (results.metric,):
        return ()
    found = (_best_by_metric(results, key, one) for key, one in results.counts.items())
    return tuple(sorted({one[0] for one in found if one is not None}))


def _ending(results: Results, key: str) -> str:
    counts, names = results.counts.get(key), judged_by(results.metric)
    best = None if counts is None else _best_by_metric(results, key, counts)
    if counts is None or best is None:
        return UNKNOWN
    own = _values(counts.total(), names, _classes(results, key))
    better = [
        None if value is None else value > limit + _ROUNDING
        for value, limit in zip(own, best, strict=True)
    ]
    if any(better):
        return TRAINED
    return UNKNOWN if None in better else COLLAPSED


def _best_by_metric(results: Results, key: str, counts: Counts) -> tuple[float, ...] | None:
    truth = tuple(counts.total().sum(1).tolist())
    if counts.train_pixels is None or not sum(counts.train_pixels):
        return None
    names = judged_by(results.metric)
    return _best_dummy(truth, counts.train_pixels, names, _classes(results, key))


@functools.lru_cache(maxsize=256)
def _best_dummy(
    truth: tuple[int, ...],
    training: tuple[int, ...],
    names: tuple[str, ...],
    classes: tuple[str, ...],
) -> tuple[float, ...] | None:
    """Return the best score by each metric; None if one is undefined for all of them.

    A pixel's class is drawn whatever image it is in, so all pixels may be those of one image.
    """
    pixels = np.array([truth], dtype=np.int64), np.array(training, dtype=np.int64)
    dummies = from_counts(("all",), *pixels)
    found = [
        _values(counts.matrices[0], names, classes)
        for name, counts in dummies.items()
        if name != PERFECT
    ]
    by_metric = [[one for one in values if one is not None] for values in zip(*found, strict=True)]
    return tuple(map(max, by_metric)) if all(by_metric) else None


def _values(
    matrix: NDArray[np.int64], names: Iterable[str], classes: Iterable[str]
) -> list[float | None]:
    found = scores(matrix)
    return [metrics.value(found, name, classes) for name in names]


def _classes(results: Results, key: str) -> tuple[str, ...]:
    accuracy = results.records[key].accuracy
    return () if accuracy is None else accuracy.classes
