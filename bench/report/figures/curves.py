"""Learning curves: score and training loss over the epochs, by arm and seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.figures.style import (
    FAINT,
    HUES,
    MOST_ARMS,
    SMALL,
    WIDTH,
    ArmStyle,
    arm_styles,
    handle,
    left_out,
    styled,
)
from bench.store.frame import DONE


@styled
def curves(results: Analysis) -> Figure | None:
    """Draw score and training loss over the epochs: seeds thin and as a band, their mean thick."""
    history = results.history
    if history.empty:
        return None
    # Scores that a dataset has beside are not taken between epochs: mean IoU stands for them.
    scored = (name for name in (results.metric, "mean_iou") if name in history)
    known = [name for name in scored if history.dropna(subset=name)["epoch"].nunique() > 1]
    shown = [*known[:1], "train_loss"]
    labels = list(results.arms)[:MOST_ARMS]
    count = math.ceil(len(labels) / len(HUES))
    size = math.ceil(len(labels) / count)  # at most as many arms in a row as there are hues
    chunks = [labels[i : i + size] for i in range(0, len(labels), size)]
    figure = Figure(figsize=(WIDTH, 2.7 * len(chunks) + 0.3), layout="constrained")
    grid = figure.subplots(len(chunks), len(shown), squeeze=False, sharex=True, sharey="col")
    styles = arm_styles(results.arms)
    for column, value in zip(grid.T, shown, strict=True):
        samples = history[history["arm"].isin(labels)].dropna(subset=value)
        arms = dict(iter(samples.groupby("arm", sort=False)))
        means = _means(samples, value)
        for axes, chunk in zip(column, chunks, strict=True):
            _lines(axes, means[~means["arm"].isin(chunk)], value, by="arm", color=FAINT, lw=0.6)
            for label in chunk:
                if label in arms:
                    _curve(axes, arms[label], means, value, styles[label])
            axes.set_ylabel(
                metrics.label(value) + (_split(results) if value != "train_loss" else "")
            )
        column[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        column[-1].set_xlabel("epoch")
        _limit(column[0], samples[samples["status"] == DONE][value])
    for axes, chunk in zip(grid[:, -1], chunks, strict=True):
        axes.legend(
            handles=[handle(label, styles[label], line=True) for label in chunk],
            loc="upper left",
            bbox_to_anchor=(1.01, 1.02),
            fontsize=SMALL,
        )
    figure.set_label(
        "Learning curves. Thin lines are single seeds, thick ones the mean over the seeds that "
        "finished, bands reach from the lowest of these to the highest; a cross ends a trial that "
        "did not. Losses of different kinds have no common scale."
        + " Each row picks out some arms; grey lines are the means of the others."
        * (len(chunks) > 1)
        + left_out(results, labels)
    )
    return figure


def _split(results: Analysis) -> str:
    """Return `` on val`` where that is what every trial was scored on between epochs."""
    splits = {
        record.accuracy.watched_split for record in results.records.values() if record.accuracy
    } - {None}
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
    axes: Axes, samples: pd.DataFrame, means: pd.DataFrame, value: str, style: ArmStyle
) -> None:
    """Draw one arm."""
    _lines(axes, samples, value, by="seed", color=style.colour, lw=0.6, alpha=0.4)
    mean = means[means["arm"] == samples["arm"].iloc[0]]
    if (mean["count"] > 1).any():
        epochs = mean["epoch"].to_numpy("float64")
        axes.fill_between(
            epochs, mean["min"], mean["max"], color=style.colour, alpha=0.14, lw=0, zorder=1
        )
    axes.plot(
        mean["epoch"].to_numpy("float64"),
        mean[value],
        color=style.colour,
        linestyle=style.dash,
        lw=2.0,
    )
    ends = samples[samples["status"] != DONE].drop_duplicates("seed", keep="last")
    axes.plot(
        ends["epoch"].to_numpy("float64"), ends[value], "x", color=style.colour, ms=6, mew=1.6
    )


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
