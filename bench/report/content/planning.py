"""What reports say of other numbers of seeds, and of differences that look larger than they are."""

from __future__ import annotations

import math

from bench.analysis.analysis import Analysis
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.stats.assurance import MOST_SEEDS, Needed, spread_range
from bench.report.content import words
from bench.report.content.effect_views import writer
from bench.report.content.numbers import whole
from bench.report.content.table import Column, Table, table


def seeds_table(results: Analysis) -> Table:
    """Return a row for each comparison that more seeds may decide; none where no δ was declared."""
    found, replicate = results.effects, results.measurement.replicate
    open_ones = [(one, seeds) for one in found.comparisons if (seeds := _seeds(results, one))]
    write, unit = writer(found, signed=False), words.unit(found.scale)
    decide = Column("decide", f"{replicate}s for {words.margin(found)}", "number", _count)
    return table(
        (Column("name", "compared with the baseline"), [one.name for one, _ in open_ones]),
        (decide, [_number(seeds.seeds) for _, seeds in open_ones]),
        (
            Column("range", f"90 % range of {replicate}s", "interval", _count),
            [(_number(seeds.low), _number(seeds.high)) for _, seeds in open_ones],
        ),
        (
            Column("detectable", "detectable", "number", write, unit),
            [one.detectable for one, _ in open_ones],
        ),
        (
            Column("detectable_range", "90 % range of it", "interval", write, unit),
            [results.planning[one.name].detectable for one, _ in open_ones],
        ),
        (Column("seeds", f"{replicate}s so far", "number", whole), [o.seeds for o, _ in open_ones]),
    )


def seeds_for_all(results: Analysis) -> str:
    """Return how many seeds decide every open comparison about ±δ: ``57``, ``more than 1,000``."""
    found = [_seeds(results, one) for one in results.effects.comparisons]
    counts = [_number(seeds.seeds) for seeds in found if seeds]
    if not counts:
        return ""
    return f"more than {whole(MOST_SEEDS)}" if math.inf in counts else whole(max(counts))


def exaggerated(results: Analysis) -> list[Comparison]:
    """Return the comparisons of which a difference was found that probably is smaller."""
    known = results.planning
    found = results.effects.comparisons
    return [one for one in found if one.name in known and known[one.name].exaggerated]


def spreads(results: Analysis) -> str:
    """Return how much runs vary, of these comparisons: ``1.2 to 1.4 points``."""
    found = results.effects
    values = [results.planning[one.name].spread for one in exaggerated(results)]
    ends = [words.effect(found, end, signed=False) for end in (min(values), max(values))]
    return f"{' to '.join(dict.fromkeys(ends))} {found.scale.unit}".rstrip()


def times_too_large(results: Analysis) -> str:
    """Return how many times too large differences of that size are where they are found."""
    values = [results.planning[one.name].exaggeration for one in exaggerated(results)]
    return " to ".join(dict.fromkeys(f"{end:.1f}" for end in (min(values), max(values))))


def spread_may_be(results: Analysis) -> str:
    """Return how many times as much runs may vary as they did: ``0.6 to 4.4``."""
    ranges = [spread_range(one.contrast.df) for one in results.effects.comparisons if one.testable]
    return f"{min(low for low, _ in ranges):.1f} to {max(high for _, high in ranges):.1f}"


def _seeds(results: Analysis, one: Comparison) -> Needed | None:
    return results.planning[one.name].seeds if one.name in results.planning else None


def _number(seeds: int | None) -> float:
    return math.inf if seeds is None else seeds


def _count(count: float, _like: float = 0) -> str:
    return f"> {whole(MOST_SEEDS)}" if math.isinf(count) else whole(count)
