"""Learning curves: score and training loss over the epochs, by arm and seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.facts import stopped_early
from bench.report.figures.axes import legend_beside
from bench.report.figures.choice import left_out
from bench.report.figures.lettering import handle
from bench.report.figures.style import FAINT, HUES, MOST_ARMS, WIDTH, ArmStyle, arm_styles, styled
from bench.store.frame import DONE


@styled
def curves(results: Analysis) -> Figure | None:
    """Draw score and training loss over the epochs: seeds thin and as a band, their mean thick."""
    history = results.history
    if history.empty:
        return None
    # Scores that only some datasets have are not computed between epochs: mean IoU is.
    scored = (name for name in (results.metric, "mean_iou") if name in history)
    known = [name for name in scored if history.dropna(subset=name)["epoch"].nunique() > 1]
    labels = list(results.arms)[:MOST_ARMS]
    count = math.ceil(len(labels) / len(HUES))
    size = math.ceil(len(labels) / count)  # at most as many arms in a row as there are hues
    rows = [labels[i : i + size] for i in range(0, len(labels), size)]
    figure = Figure(figsize=(WIDTH, 2.7 * count + 0.3), layout="constrained")
    shape = count, len(known[:1]) + 1
    grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey="col")
    styles = arm_styles(results.arms)
    for column, value in zip(grid.T, [*known[:1], "train_loss"], strict=True):
        _column(column, rows, history, value, styles)
        split = _split(results) if value != "train_loss" else ""
        for axes in column:
            axes.set_ylabel(metrics.label(value) + split)
    for axes, row in zip(grid[:, -1], rows, strict=True):
        legend_beside(axes, [handle(label, styles[label], line=True) for label in row])
    figure.set_label(
        "Learning curves. Thin lines are single seeds; thick ones are the mean over the seeds that "
        "finished, and bands reach from the lowest of these to the highest. A cross marks where a "
        "trial ended early. Different losses are not on a common scale."
        + " A training that its patience stopped has no cross, and means go as far as all of these."
        * (stopped_early(results) is not None)
        + " Each row shows some arms in colour; grey lines are the means of the others."
        * (count > 1)
        + left_out(results, labels)
    )
    return figure


def _column(
    column: Sequence[Axes],
    rows: Sequence[Sequence[str]],
    history: pd.DataFrame,
    value: str,
    styles: Mapping[str, ArmStyle],
) -> None:
    """Draw one score: a row of axes for each row of arms."""
    samples = history[history["arm"].isin(list(itertools.chain(*rows)))].dropna(subset=value)
    arms = dict(iter(samples.groupby("arm", sort=False)))
    means = _means(samples, value)
    for axes, row in zip(column, rows, strict=True):
        _lines(axes, means[~means["arm"].isin(row)], value, by="arm", color=FAINT, lw=0.6)
        for label in row:
            if label in arms:
                _curve(axes, arms[label], means[means["arm"] == label], value, styles[label])
    column[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    column[-1].set_xlabel("epoch")
    _limit(column[0], samples[samples["status"] == DONE][value])


def _split(results: Analysis) -> str:
    """Return `` on val`` where that is what every trial was scored on between epochs."""
    trained = (record.accuracy for record in results.records.values() if record.accuracy)
    splits = {result.watched_split for result in trained} - {None}
    return f" on {splits.pop()}" if len(splits) == 1 else ""


def _means(samples: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return arm, epoch, and mean, least and most of its finished seeds where each has a value."""
    done = samples[samples["status"] == DONE]
    values = done.groupby(["arm", "epoch"])[value]
    means = values.agg(["mean", "min", "max", "count"]).reset_index()
    seeds = done.groupby("arm")["seed"].nunique()
    complete = means[means["count"] == means["arm"].map(seeds)]
    return complete.rename(columns={"mean": value})


def _curve(
    axes: Axes, samples: pd.DataFrame, mean: pd.DataFrame, value: str, style: ArmStyle
) -> None:
    """Draw one arm."""
    colour = style.colour
    _lines(axes, samples, value, by="seed", color=colour, lw=0.6, alpha=0.4)
    epochs = mean["epoch"].to_numpy("float64")
    if (mean["count"] > 1).any():
        band: dict[str, Any] = {"color": colour, "alpha": 0.14, "lw": 0, "zorder": 1}
        axes.fill_between(epochs, mean["min"], mean["max"], **band)
    axes.plot(epochs, mean[value], color=colour, linestyle=style.dash, lw=2.0)
    ends = samples[samples["status"] != DONE].drop_duplicates("seed", keep="last")
    axes.plot(ends["epoch"].to_numpy("float64"), ends[value], "x", color=colour, ms=6, mew=1.6)


def _lines(axes: Axes, samples: pd.DataFrame, value: str, *, by: str, **look: Any) -> None:
    """Draw a line for each value of ``by``, all as one with gaps: a fraction of the time."""
    kinds = pd.factorize(samples[by])[0]
    gaps = np.flatnonzero(np.diff(kinds)) + 1
    x = np.insert(samples["epoch"].to_numpy("float64"), gaps, math.nan)
    axes.plot(x, np.insert(samples[value].to_numpy("float64"), gaps, math.nan), **look)


def _limit(axes: Axes, values: pd.Series[float]) -> None:
    """Choose limits by the trials that finished: one that diverged would flatten the rest."""
    if values.count():
        low, high = values.min(), values.max()
        margin = 0.05 * (high - low) or 0.05
        axes.set_ylim(low - margin, high + margin)
