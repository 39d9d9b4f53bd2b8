"""Every trial, and summaries by arm, by factor level, by class."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.store.frame import DONE, NOT_RUN, Row, typed

_PIXELS = ("pixels_truth", "pixels_predicted", "pixels_correct", "pixels_train")
_FLOPS = ("step_gflops", "step_pixels", "gflops_per_megapixel", "window_gflops_per_megapixel")


def trials(results: Analysis) -> pd.DataFrame:
    """Return a row for each trial of the plan: settings of the arm, status, every score.

    The scores of class c are in columns like ``iou.c``.
    """
    frame, classes = results.trials, results.classes
    settings = _settings(results)
    parts = [frame[["key", "arm"]], typed([settings[label] for label in frame["arm"]])]
    parts.append(frame.drop(columns=["key", "arm"]))
    for score in classes.columns.drop(["key", "arm", "seed", "class"]):
        once = classes.drop_duplicates(["key", "class"])
        wide = once.pivot(index="key", columns="class", values=score)
        wide = wide.reindex(index=frame["key"], columns=list(results.palette))
        parts.append(wide.add_prefix(f"{score}.").set_axis(frame.index))
    return pd.concat(parts, axis=1)


@lru_cache(maxsize=1)  # every format of a report asks for it
def arms(results: Analysis) -> pd.DataFrame:
    """Return a row for each arm, in plan order: n, and mean and sd over seeds of every score.

    ``df``, ``low`` and ``high`` belong to the metric: degrees of freedom of its sd, and the
    95 % t-interval of its mean over training runs.
    """
    done, known = results.done.groupby("arm", sort=False), results.trials.columns
    columns: dict[str, Any] = {"n": done[results.metric].count()}
    for name in ("df", "low", "high"):
        samples = results.effects.arms.items()
        columns[name] = pd.Series({label: getattr(sample, name) for label, sample in samples})
    for score in results.scores:
        columns |= {f"{score}_mean": done[score].mean(), f"{score}_sd": done[score].std(ddof=1)}
    counts = ["parameters"]  # the same for every seed
    if results.measurement.trains:
        for end in ("min", "max"):
            averaged = done["classes_averaged"].agg(end) if "classes_averaged" in known else None
            columns[f"classes_averaged_{end}"] = averaged
            if "epochs" in known:  # records of older versions do not say
                columns[f"epochs_{end}"] = done["epochs"].agg(end)
        counts += ["train_images", "dropped_images"]
    columns |= {name: done[name].first() if name in known else None for name in counts}
    columns |= {name: done[name].first() for name in _FLOPS if name in known}
    columns["seconds_mean"] = done["seconds"].mean()

    summary = pd.DataFrame(columns).reindex(list(results.arms))
    summary["n"] = summary["n"].fillna(0).astype("Int64")
    rows = [
        {"arm": label, **own, "baseline": label == results.baseline_arm}
        for label, own in _settings(results).items()
    ]
    missing = [
        _missing(results, results.trials[results.trials["arm"] == label], with_arm=False)
        for label in results.arms
    ]
    return pd.concat([typed(rows), summary.reset_index(drop=True), typed(missing)], axis=1)


@lru_cache(maxsize=1)  # every format of a report asks for it
def levels(results: Analysis) -> pd.DataFrame:
    """Return a row for each level of each factor: mean, sd and n over all trials that have it.

    ``seed_mean`` is the mean over ``seeds``, of which each counts with its mean over the arms of
    the level; ``seed_sd``, ``df``, ``low`` and ``high`` are of these values. ``balanced`` tells
    whether all levels of the factor were measured under the same settings of the other factors
    and the same seeds; only then do the means differ by the factor alone.
    """
    rows = []
    for factor in results.factors:
        balanced = is_balanced(results, factor)
        for level, labels in results.by_level(factor).items():
            group = results.trials[results.trials["arm"].isin(labels)]
            values = group.loc[group["status"] == DONE, results.metric]
            sample = results.effects.levels[factor, level]
            rows.append(
                {
                    "factor": factor,
                    "level": level,
                    "baseline": results.baseline.get(factor) == level,
                    "n": int(values.count()),
                    "mean": values.mean(),
                    "sd": values.std(ddof=1),
                    "seeds": sample.n,
                    "seed_mean": sample.mean,
                    "seed_sd": sample.sd,
                    "df": sample.df,
                    "low": sample.low,
                    "high": sample.high,
                    "values": " ".join(f"{value:.6g}" for value in values.dropna()),
                    "arms": len(labels),
                    "balanced": balanced,
                    **_missing(results, group, with_arm=True),
                }
            )
    return typed(rows, ("factor", "level", "baseline", "n", "mean", "sd", "arms", "balanced"))


@lru_cache(maxsize=1)  # every format of a report asks for it
def per_class(results: Analysis) -> pd.DataFrame:
    """Return a row for each arm and class: n, and mean and sd over seeds of every class score.

    ``n`` counts the trials in which the class has an IoU: a class that neither occurs nor is
    predicted has none, which is not the same as 0.
    """
    classes = results.classes
    wanted = pd.MultiIndex.from_product([results.arms, results.palette], names=["arm", "class"])
    parts: dict[str, Any] = {}
    grouped = classes.groupby(["arm", "class"], sort=False)
    for score in classes.columns.drop(["key", "arm", "seed", "class"]):
        parts.setdefault("n", grouped[score].count().reindex(wanted, fill_value=0))
        parts[f"{score}_mean"] = grouped[score].mean().reindex(wanted)
        parts[f"{score}_sd"] = grouped[score].std().reindex(wanted)
    frame = pd.DataFrame(parts, index=wanted).reset_index()
    frame.insert(2, "trials", frame["arm"].map(results.trials.groupby("arm").size()))
    return frame


def trials_by_class(results: Analysis) -> pd.DataFrame:
    """Return a row for each finished trial and class: its scores, and numbers of pixels, if stored.

    ``pixels_train`` are of the training split, the others of the evaluated one, without void.
    """
    rows = []
    for key, counts in results.counts.items():
        matrix = counts.total()
        train = counts.train_pixels or (None,) * counts.classes
        columns = matrix.sum(1), matrix.sum(0), matrix.diagonal()
        for label, (truth, predicted, right) in enumerate(zip(*map(list, columns), strict=True)):
            found = int(truth), int(predicted), int(right), train[label]
            rows.append(dict(zip(_PIXELS, found, strict=True)) | {"key": key, "label": label})
    frame = results.classes.drop_duplicates(["key", "class"])
    frame = frame.assign(label=frame.groupby("key", sort=False).cumcount())
    pixels = typed(rows, ("key", "label", *_PIXELS))
    return frame.merge(pixels, how="left", on=["key", "label"]).drop(columns="label")


def is_balanced(results: Analysis, factor: str) -> bool:
    """Tell whether each level has results under the same other settings and seeds."""
    done = results.done[["arm", "seed"]].itertuples(index=False, name=None)
    measured = [(results.arms[arm], arm, seed) for arm, seed in done]

    def cells(labels: Iterable[str]) -> set[tuple[Any, ...]]:
        return {
            (*(value for name, value in settings.items() if name != factor), seed)
            for settings, arm, seed in measured
            if arm in labels
        }

    first, *others = (cells(labels) for labels in results.by_level(factor).values())
    return all(each == first for each in others)


def _settings(results: Analysis) -> dict[str, Row]:
    """Return arm → its settings: a value, or None, for everything that any arm sets."""
    names = dict.fromkeys(name for arm in results.arms.values() for name in arm)
    return {label: {name: arm.get(name) for name in names} for label, arm in results.arms.items()}


def _missing(results: Analysis, trials: pd.DataFrame, *, with_arm: bool) -> Row:
    """Count the trials without a result, and name them."""
    without = trials[trials["status"] != DONE]
    not_run = int((without["status"] == NOT_RUN).sum())
    names = (without["arm"] + " " if with_arm else "") + (
        f"{results.measurement.replicate} " + without["seed"].astype(str) + " " + without["status"]
    )
    return {
        "failed": len(without) - not_run,
        "not_run": not_run,
        "without_result": ", ".join(names),
    }
