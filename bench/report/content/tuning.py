"""What a report tells of tuning: its tables, and the words and numbers of its sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.analysis.effects import tuned_verdicts
from bench.analysis.effects.tuned_verdicts import DEFAULT, TUNED, Conclusion, Place
from bench.analysis.effects.tuning import Search, Values
from bench.analysis.stats.verdicts import INCONCLUSIVE
from bench.report.content import words
from bench.report.content.numbers import listed
from bench.report.content.table import Column, Table, of_metric, table
from bench.report.tables import summaries
from bench.store.frame import DONE, NOT_RUN

_MOST_BUDGETS = 8  # columns of the table of budgets
_RATE = "train.learning_rate"
_ARM, _NAME = Column("arm", "arm"), Column("name", "compared with the baseline")


@dataclass(frozen=True)
class Cost:
    """What tuning took, of all that was measured."""

    trials: int
    all_trials: int
    seconds: float
    share: float  # of all seconds


def setting(results: Analysis) -> str:
    """Return what is tuned, in a word: ``rate``, ``weight decay``; ``setting`` of several."""
    names = [] if results.plan.tuning is None else list(results.plan.tuning.grid)
    if names == [_RATE]:
        return "rate"
    return names[0].rpartition(".")[2].replace("_", " ") if len(names) == 1 else "setting"


def under_way(results: Analysis) -> bool:
    """Tell whether values are still to be chosen."""
    return results.plan.tuning is not None and not results.plan.tuning.chosen


def aside(results: Analysis) -> str:
    """Return what arms a sentence is about, to stand between commas; empty without tuning."""
    if results.plan.tuning is None:
        return ""
    if under_way(results):
        return "not tuned yet"
    return f"each arm with its tuned {setting(results)}"


def written(values: Values) -> str:
    """Return values as text: ``0.001``; of several settings with their names."""
    if len(values) == 1:
        return f"{values[0][1]:.4g}"
    return ", ".join(f"{name.rpartition('.')[2]} {value:.4g}" for name, value in values)


def statuses(results: Analysis) -> dict[str, int]:
    """Return how many tuning trials ended in each way, those that finished first."""
    found = Counter(status for one in results.searches for row in one.statuses for status in row)
    return {status: found[status] for status in sorted(found, key=lambda each: each != DONE)}


def ended(results: Analysis) -> int:
    """Return how many tuning trials have ended, be it well or badly."""
    return sum(n for status, n in statuses(results).items() if status != NOT_RUN)


def at_edge(results: Analysis) -> list[str]:
    """Return the arms whose best value lies at an end of what was tried, with that value."""
    found = (one for one in results.searches if one.at_edge)
    return [f"{one.arm} ({' and '.join(dict.fromkeys(map(written, one.chosen)))})" for one in found]


def repeats(results: Analysis) -> int:
    """Return how often every arm was tuned."""
    return 1 if results.plan.tuning is None else results.plan.tuning.repeat


def images(results: Analysis) -> list[str]:
    """Return on how many images values were chosen."""
    counts = (one.done.get("evaluated_images", ()) for one in results.tried.values())
    return sorted({str(number) for own in counts for number in own})


def declared(results: Analysis) -> int:
    """Return how many combinations of values the experiment file declares."""
    grid = {} if results.plan.tuning is None else results.plan.tuning.grid
    return math.prod(len(points) for points in grid.values())


def damaged(results: Analysis) -> list[str]:
    """Return a line for each stored file of tuning that cannot be used."""
    others = [*results.tried.values(), *([results.untuned] if results.untuned else [])]
    lines = dict.fromkeys(line for one in others for line in one.damaged)
    return [line for line in lines if line not in results.damaged]


def cost(results: Analysis) -> Cost:
    """Return what tuning took; a trial that serves twice counts once, as a reported one."""
    reported = _seconds([results, *([results.untuned] if results.untuned else [])])
    tuning = {
        key: value for key, value in _seconds(results.tried.values()).items() if key not in reported
    }
    total = sum(tuning.values()) + sum(reported.values())
    spent = sum(tuning.values())
    share = spent / total if total else 0.0
    return Cost(len(tuning), len(tuning) + len(reported), spent, share)


def arm_table(results: Analysis) -> Table:
    """Return a row for each arm: its score with the default and with what was chosen for it."""
    metric, untuned = results.metric, results.untuned
    if untuned is None or not results.searches:
        return Table()
    word, searches = setting(results), results.searches
    default = Column("default_score", f"{of_metric(metric).label}, default", "spread")
    tuned = Column("tuned_score", f"{of_metric(metric).label}, tuned", "spread")
    if under_way(results):
        chosen: list[str] = [""] * len(searches)
        scores: list[tuple[float, float] | None] = [None] * len(searches)
    else:
        chosen = [_chosen(one) for one in searches]
        scores = _spreads(results)
    return table(
        (_ARM, [one.arm for one in searches]),
        (Column("default", f"default {word}"), [_of_default(one) for one in searches]),
        (default, _spreads(untuned)),
        (Column("tuned", f"tuned {word}", optional=True), chosen),
        *([] if under_way(results) else [(tuned, scores)]),
    )


def effect_table(results: Analysis) -> Table:
    """Return a row for each comparison: by default, tuned, and where else the verdict holds."""
    found = results.conclusions
    noun, unit = words.noun(results.scale), words.unit(results.scale)

    def columns(name: str, places: Sequence[Place]) -> list[tuple[Column, list[object]]]:
        effects, plain = results.effects, [place.contrast for place in places]
        write = lambda value, _like: words.effect(effects, value)  # noqa: E731
        return [
            (
                Column(f"{name}_effect", f"{noun}, {name}", "number", write, unit),
                [one.difference for one in plain],
            ),
            (
                Column(f"{name}_interval", "95 % interval", "interval", write),
                [(one.low, one.high) for one in plain],
            ),
            (
                Column(f"{name}_verdict", f"verdict, {name}", "verdict"),
                [place.verdict for place in places],
            ),
        ]

    return table(
        (_NAME, [one.name for one in found]),
        *columns(DEFAULT, [one.default for one in found]),
        *columns(TUNED, [one.tuned for one in found]),
        (Column("sentence", "the tuned verdict"), [sentence(results, one) for one in found]),
    )


def common_table(results: Analysis) -> Table:
    """Return a row for each comparison and each value that all arms were tried with."""
    found = [(one, place) for one in results.conclusions for place in one.common]
    contrasts = [place.contrast for _, place in found]
    noun, unit = words.noun(results.scale), words.unit(results.scale)
    write = lambda value, _like: words.effect(results.effects, value)  # noqa: E731
    return table(
        (_NAME, [one.name for one, _ in found]),
        (Column("values", setting(results)), [_place(place) for _, place in found]),
        (Column("effect", noun, "number", write, unit), [one.difference for one in contrasts]),
        (
            Column("interval", "95 % interval", "interval", write),
            [(one.low, one.high) for one in contrasts],
        ),
        (Column("verdict", "verdict", "verdict"), [place.verdict for _, place in found]),
        (
            Column("failed", "runs without a result", optional=True),
            [str(sum(place.failed) or "") for _, place in found],
        ),
    )


def budget_table(results: Analysis) -> Table:
    """Return a row for each arm: the best score to be expected of fewer values."""
    found = [one for one in results.searches if len(one.best)]
    if not found:
        return Table()
    most = min(len(one.best) for one in found)
    budgets = [n for n in range(1, most + 1) if n == most or n < _MOST_BUDGETS]
    return table(
        (_ARM, [one.arm for one in found]),
        *(
            (Column(f"{n}", f"{n}", "number"), [float(one.best[n - 1]) for one in found])
            for n in budgets
        ),
    )


def sentence(results: Analysis, one: Conclusion) -> str:
    """Return one of few sentences on where a verdict on tuned arms holds."""
    word = setting(results)
    if one.kind == tuned_verdicts.UNDECIDED:
        open_ = one.tuned.verdict == INCONCLUSIVE
        return "undecided" if open_ else f"undecided whether at every {word}"
    return {
        tuned_verdicts.EVERYWHERE: f"holds at every {word}",
        tuned_verdicts.ONLY_TUNED: "holds only tuned",
        tuned_verdicts.FLIPS: f"flips with the {word}",
        tuned_verdicts.EDGE: "edge of the search: undecided",
    }[one.kind]


def where(results: Analysis, one: Conclusion) -> str:
    """Return where a comparison has which verdict: ``better tuned and at 0.01; …``."""
    by_verdict: dict[str, list[str]] = {}
    for place in one.places:
        if not any(place.failed):
            by_verdict.setdefault(place.verdict, []).append(_at(place))
    parts = [f"{verdict} {listed(places, 12)}" for verdict, places in by_verdict.items()]
    failed = [
        written(p.where) for p in one.common if any(p.failed) and not isinstance(p.where, str)
    ]
    parts += [f"not tested at {listed(failed, 12)}, where a run has no result"] if failed else []
    return "; ".join(parts)


def _at(place: Place) -> str:
    if isinstance(place.where, str):
        return {TUNED: "tuned", DEFAULT: "with the default"}[place.where]
    return f"at {written(place.where)}"


def _place(place: Place) -> str:
    return place.where if isinstance(place.where, str) else written(place.where)


def _of_default(one: Search) -> str:
    return "" if one.default is None else written(one.default)


def _chosen(one: Search) -> str:
    edge = " (edge)" if one.at_edge else ""
    counts = Counter(map(written, one.chosen))
    times = {text: f" ({count}×)" * (len(one.chosen) > 1) for text, count in counts.items()}
    return ", ".join(f"{text}{times[text]}" for text in counts) + edge


def _spreads(results: Analysis) -> list[tuple[float, float] | None]:
    frame = summaries.arms(results)
    names = [f"{results.metric}_mean", f"{results.metric}_sd"]
    return list(frame[names].itertuples(index=False, name=None))


def _seconds(parts: Iterable[Analysis]) -> dict[str, float]:
    frames = [one.trials.dropna(subset=["seconds"]) for one in parts]
    if not frames:
        return {}
    whole = pd.concat([frame[["key", "seconds"]] for frame in frames]).drop_duplicates("key")
    return dict(zip(whole["key"], whole["seconds"].astype(float), strict=True))
