"""What a report says and shows of runs that did not train."""

from __future__ import annotations

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects import collapse, endings
from bench.analysis.effects.collapse import Outcomes, total
from bench.analysis.stats.verdicts import EQUIVALENT
from bench.report.content import words
from bench.report.content.effect_views import effect_columns
from bench.report.content.numbers import p_value, score, whole
from bench.report.content.table import Column, Table, table

_BOUNDS = Column("bounds", "95 % bounds", "interval", lambda value, _like: f"{value:.0f}", "%")
_P = Column("p", "p", "number", p_value)
_P_CORRECTED = Column("p_corrected", "p corrected", "number", p_value)


def arm_table(results: Analysis) -> Table:
    """Return a row for each arm: how many of its runs did not train, and which."""
    found = results.collapse
    if found is None:
        return Table()
    known = {label: one for label, one in found.arms.items() if one.runs or one.unknown}
    named = [", ".join(map(str, found.seeds[label])) for label in known]
    replicate = results.measurement.replicate
    return table(
        (Column("arm", "arm"), known),
        (Column("failed", "did not train"), list(map(counted, known.values()))),
        (_BOUNDS, [percent(one) for one in known.values()]),
        (_whole("collapsed"), [one.collapsed for one in known.values()]),
        (_whole("diverged"), [one.diverged for one in known.values()]),
        (_whole("unknown"), [one.unknown or None for one in known.values()]),
        (Column("seeds", f"{replicate}s that did not train", optional=True), named),
    )


def test_table(results: Analysis) -> Table:
    """Return a row for each comparison of which some run did not train."""
    tests = [one for one in results.collapse.tests if one.p >= 0] if results.collapse else []
    several = len(tests) > 1
    return table(
        (Column("name", "compared with the baseline"), [one.name for one in tests]),
        (Column("level", "did not train"), [counted(one.level) for one in tests]),
        (Column("baseline", "of the baseline"), [counted(one.baseline) for one in tests]),
        (_P, [one.p for one in tests]),
        *([(_P_CORRECTED, [one.p_adjusted for one in tests])] if several else []),
    )


def trained_table(results: Analysis) -> Table:
    """Return a row for each comparison of the means of the runs that trained."""
    compared = results.collapse.trained if results.collapse else ()
    found, replicate = results.effects, results.measurement.replicate
    effect, interval = effect_columns(found)
    return table(
        (Column("name", "compared with the baseline"), [one.name for one in compared]),
        (effect, [one.contrast.difference for one in compared]),
        (interval, [(one.low, one.high) for one in compared]),
        (Column("verdict", "verdict", "verdict"), [words.verdict(found, one) for one in compared]),
        (_P_CORRECTED, [one.p_adjusted for one in compared]),
        (Column("seeds", f"{replicate}s", "number", whole), [one.seeds for one in compared]),
    )


def counted(one: Outcomes) -> str:
    """Return how many runs did not train: ``2 of 10``; ``unknown`` where that is so of all."""
    return f"{one.failed} of {one.runs}" if one.runs else "unknown"


def percent(one: Outcomes) -> tuple[float, float] | None:
    """Return the bounds of the share of runs that do not train, in percent."""
    if not one.runs:
        return None
    low, high = one.bounds
    return 100 * low, 100 * high


def bounds(one: Outcomes) -> str:
    """Return the same in words: ``95 % bounds 3 to 56 %``."""
    low, high = percent(one) or (0.0, 100.0)
    return f"95 % bounds {low:.0f} to {high:.0f} %"


def how(one: Outcomes) -> str:
    """Return in a word what became of the runs that did not train."""
    if one.collapsed and one.diverged:
        return "did not train"
    return endings.COLLAPSED if one.collapsed else endings.DIVERGED


def failing(results: Analysis) -> dict[str, Outcomes]:
    """Return the arms of which some run did not train."""
    found = results.collapse
    return {} if found is None else {label: n for label, n in found.arms.items() if n.failed}


def others(results: Analysis) -> Outcomes:
    """Return how the runs of all other arms ended."""
    arms = results.collapse.arms if results.collapse else {}
    return total(one for one in arms.values() if not one.failed)


def judged_by(results: Analysis) -> list[str]:
    """Return what the metrics are called by which runs are judged."""
    return [metrics.label(name) for name in endings.judged_by(results.metric)]


def to_beat(results: Analysis) -> list[str]:
    """Return the least and the largest score that a run has to exceed; one if they are equal."""
    found = [score(value) for value in endings.to_beat(results)]
    return list(dict.fromkeys([*found[:1], *found[-1:]]))


def unseen(results: Analysis) -> str:
    """Return up to what share runs of equivalent comparisons may not train, though all did so far.

    Empty where nothing is equivalent, or what is compared trains no network.
    """
    sides = collapse.sides(results, results.endings)
    equivalent = [one for one in results.effects.comparisons if one.verdict == EQUIVALENT]
    both = [side for one in equivalent for side in sides[one.factor, one.level] if side.runs]
    return f"{100 * max(one.bounds[1] for one in both):.0f} %" if both else ""


def _whole(name: str) -> Column:
    return Column(name, name, "number", whole, optional=True)
