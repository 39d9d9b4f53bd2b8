"""Every trial, and summaries by arm, by factor level, by class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.analysis.stats.sample import Sample
from bench.store.frame import DONE, NOT_RUN, Row, typed

ARITHMETIC = ("step_gflops", "step_pixels", "gflops_per_megapixel", "window_gflops_per_megapixel")


def trials(results: Analysis) -> pd.DataFrame:
    """Return a row for each trial of the plan: settings of the arm, status, every score.

    The scores of class c are in columns like ``iou.c``.
    """
    frame = results.trials
    settings = {label: _settings(results, label) for label in results.arms}
    parts = [frame[["key", "arm"]], typed([settings[label] for label in frame["arm"]])]
    parts.append(frame.drop(columns=["key", "arm"]))
    classes = results.classes
    for score in classes.columns.drop(["key", "arm", "seed", "class"]):
        wide = classes.drop_duplicates(["key", "class"]).pivot(
            index="key", columns="class", values=score
        )
        wide = wide.reindex(index=frame["key"], columns=list(results.palette))
        parts.append(wide.add_prefix(f"{score}.").set_axis(frame.index))
    return pd.concat(parts, axis=1)


def arms(results: Analysis) -> pd.DataFrame:
    """Return a row for each arm, in plan order: n, and mean and sd over seeds of every score.

    ``df``, ``low`` and ``high`` belong to the metric: degrees of freedom of its sd, and the
    95 % t-interval of its mean over training runs.
    """
    done, known = results.done.groupby("arm", sort=False), results.trials.columns
    columns: dict[str, Any] = {"n": done[results.metric].count()}
    columns |= _intervals(results.effects.arms)
    for score in results.scores:
        columns |= {f"{score}_mean": done[score].mean(), f"{score}_sd": done[score].std(ddof=1)}
    counts = ["parameters"]  # the same for every seed
    if results.measurement.trains:
        averaged = done["classes_averaged"] if "classes_averaged" in known else None
        columns["classes_averaged_min"] = None if averaged is None else averaged.min()
        columns["classes_averaged_max"] = None if averaged is None else averaged.max()
        counts += ["train_images", "dropped_images"]
    for name in counts:
        columns[name] = done[name].first() if name in known else None
    columns |= {name: done[name].first() for name in ARITHMETIC if name in known}
    columns["seconds_mean"] = done["seconds"].mean()

    labels, baseline = list(results.arms), results.baseline_arm
    summary = pd.DataFrame(columns).reindex(labels)
    summary["n"] = summary["n"].fillna(0).astype("Int64")
    without = results.trials[results.trials["status"] != DONE]
    groups = dict(iter(without.groupby("arm", sort=False)))
    rows = [
        {"arm": label, **_settings(results, label), "baseline": label == baseline}
        for label in labels
    ]
    replicate = results.measurement.replicate
    nothing = _missing(without[:0], replicate, with_arm=False)
    missing = [
        _missing(groups[label], replicate, with_arm=False) if label in groups else nothing
        for label in labels
    ]
    parts = [typed(rows), summary.reset_index(drop=True), typed(missing)]
    return pd.concat(parts, axis=1)


def levels(results: Analysis) -> pd.DataFrame:
    """Return a row for each level of each factor: mean, sd and n over all trials that have it.

    ``seed_mean`` is the mean over ``seeds``, of which each counts with its mean over the arms of
    the level; ``seed_sd``, ``df``, ``low`` and ``high`` are of these values. ``balanced`` tells
    whether all levels of the factor were measured under the same settings of the other factors
    and the same seeds; only then do the means differ by the factor alone.
    """
    rows, found = [], results.effects
    for factor in results.factors:
        balanced = is_balanced(results, factor)
        for level, labels in results.by_level(factor).items():
            group = results.trials[results.trials["arm"].isin(labels)]
            done = group[group["status"] == DONE]
            values = done[results.metric]
            rows.append(
                {
                    "factor": factor,
                    "level": level,
                    "baseline": results.baseline.get(factor) == level,
                    "n": int(values.count()),
                    **_summary(values),
                    **_over_seeds(found.levels[factor, level]),
                    "values": " ".join(f"{value:.6g}" for value in values.dropna()),
                    "arms": len(labels),
                    "balanced": balanced,
                    **_missing(group, results.measurement.replicate, with_arm=True),
                }
            )
    return typed(rows, ("factor", "level", "baseline", "n", "mean", "sd", "arms", "balanced"))


def per_class(results: Analysis) -> pd.DataFrame:
    """Return a row for each arm and class: n, and mean and sd over seeds of every class score.

    ``n`` counts the trials in which the class has an IoU: a class that neither occurs nor is
    predicted has none, which is not the same as 0.
    """
    classes, names = results.classes, ["key", "arm", "seed", "class"]
    found = [str(name) for name in classes.columns.drop(names)]
    wanted = pd.MultiIndex.from_product(
        [list(results.arms), list(results.palette)], names=["arm", "class"]
    )
    parts: dict[str, Any] = {}
    grouped = classes.groupby(["arm", "class"], sort=False)
    for score in found:
        parts.setdefault("n", grouped[score].count().reindex(wanted, fill_value=0))
        parts[f"{score}_mean"] = grouped[score].mean().reindex(wanted)
        parts[f"{score}_sd"] = grouped[score].std().reindex(wanted)
    planned = results.trials.groupby("arm", sort=False).size()
    frame = pd.DataFrame(parts, index=wanted).reset_index()
    frame.insert(2, "trials", frame["arm"].map(planned))
    return frame


def is_balanced(results: Analysis, factor: str) -> bool:
    """Tell whether each level has results under the same other settings and seeds."""
    done = results.done

    def cells(labels: Iterable[str]) -> set[tuple[Any, ...]]:
        return {
            (*(value for name, value in results.arms[arm].items() if name != factor), seed)
            for arm, seed in zip(done["arm"], done["seed"], strict=True)
            if arm in labels
        }

    found = [cells(frozenset(labels)) for labels in results.by_level(factor).values()]
    return all(each == found[0] for each in found)


def _intervals(samples: Mapping[str, Sample]) -> dict[str, pd.Series[float]]:
    """Return columns by arm."""
    return {
        name: pd.Series({label: getattr(sample, name) for label, sample in samples.items()})
        for name in ("df", "low", "high")
    }


def _over_seeds(sample: Sample) -> Row:
    return {
        "seeds": sample.n,
        "seed_mean": sample.mean,
        "seed_sd": sample.sd,
        "df": sample.df,
        "low": sample.low,
        "high": sample.high,
    }


def _summary(values: pd.Series[float]) -> Row:
    return {"mean": values.mean(), "sd": values.std(ddof=1)}


def _settings(results: Analysis, label: str) -> Row:
    """Return what makes an arm: a value, or None, for everything that any arm sets."""
    names = dict.fromkeys(name for arm in results.arms.values() for name in arm)
    return {name: results.arms[label].get(name) for name in names}


def _missing(trials: pd.DataFrame, replicate: str, *, with_arm: bool) -> Row:
    """Count the trials without a result, and name them."""
    without = trials[trials["status"] != DONE]
    not_run = int((without["status"] == NOT_RUN).sum())
    names = []
    for arm, seed, status in without[["arm", "seed", "status"]].itertuples(index=False):
        name = f"{replicate} {seed} {status}"
        names.append(f"{arm} {name}" if with_arm else name)
    return {
        "failed": len(without) - not_run,
        "not_run": not_run,
        "without_result": ", ".join(names),
    }
