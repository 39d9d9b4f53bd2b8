"""An experiment on several datasets: what is compared on each, and where verdicts agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.analysis import Analysis
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE, WORSE
from bench.report.content import words
from bench.report.content.numbers import listed
from bench.report.content.prose import say
from bench.report.content.table import Column, Table, table
from bench.store.plans import Block

_KINDS = ("same", "contrary", "different", "partly", "open")  # of the verdicts on one comparison
_MOST_NAMED = 10  # comparisons in a sentence


@dataclass(frozen=True, eq=False)
class Panel:
    """The experiment on one dataset."""

    block: Block
    results: Analysis
    link: str  # to its own report, from the page of all; empty if it has none

    @property
    def verdicts(self) -> Mapping[str, Comparison]:
        """What is compared, by name → its verdict."""
        return {one.name: one for one in self.results.effects.comparisons}


def groups(panels: Iterable[Panel]) -> list[tuple[Panel, ...]]:
    """Return the panels of each experiment that has two or more, in the order of its file."""
    found: dict[str, list[Panel]] = {}
    for panel in panels:
        found.setdefault(panel.block.experiment, []).append(panel)
    return [tuple(sorted(each, key=_place)) for each in found.values() if len(each) > 1]


def agreement(panels: Sequence[Panel]) -> list[str]:
    """Return the sentences that say where the verdicts on the datasets agree."""
    named = [_verdicts(panels, name) for name in _names(panels)]
    kinds: dict[str, list[str]] = {}
    for name, verdicts in zip(_names(panels), named, strict=True):
        kinds.setdefault(_kind(verdicts), []).append(f"{name} ({_shown(verdicts)})")
    missing = [one for one in panels[0].block.datasets if one not in map(_dataset, panels)]
    shown = dict.fromkeys(_KINDS, "")
    shown |= {kind: listed(each, _MOST_NAMED) for kind, each in kinds.items()}
    return say(panels[0].results, "datasets", kinds=shown, panels=panels, missing=missing)


def verdict_table(panels: Sequence[Panel]) -> Table:
    """Return a row for each comparison, a column for each dataset: difference and verdict."""
    names = _names(panels)
    columns = []
    for panel in panels:
        found, own = panel.results.effects, panel.verdicts
        cells = [
            f"{words.effect(found, own[name].contrast.difference)} {own[name].verdict}"
            if name in own
            else "–"
            for name in names
        ]
        unit = words.unit(found.scale)
        columns.append((Column(panel.block.dataset, panel.block.dataset, unit=unit), cells))
    return table((Column("name", "compared with the baseline"), names), *columns)


def _kind(verdicts: Mapping[str, str]) -> str:
    """Return how the verdicts of one comparison, by dataset, go together."""
    kinds = set(verdicts.values())
    decided = kinds - {INCONCLUSIVE}
    if not decided:
        return "open"
    if {BETTER, WORSE} <= decided:
        return "contrary"
    if len(decided) > 1:
        return "different"
    return "same" if kinds == decided and len(verdicts) > 1 else "partly"


def _shown(verdicts: Mapping[str, str]) -> str:
    """Return the verdicts of one comparison in words: ``better on cells, worse on scenes``."""
    by_verdict: dict[str, list[str]] = {}
    for dataset, verdict in verdicts.items():
        by_verdict.setdefault(verdict, []).append(dataset)
    if len(by_verdict) == 1:
        return next(iter(by_verdict))
    return ", ".join(f"{verdict} on {listed(where)}" for verdict, where in by_verdict.items())


def _names(panels: Sequence[Panel]) -> list[str]:
    return list(dict.fromkeys(name for panel in panels for name in panel.verdicts))


def _verdicts(panels: Sequence[Panel], name: str) -> dict[str, str]:
    return {_dataset(one): one.verdicts[name].verdict for one in panels if name in one.verdicts}


def _dataset(panel: Panel) -> str:
    return panel.block.dataset


def _place(panel: Panel) -> int:
    block = panel.block
    return block.datasets.index(block.dataset) if block.dataset in block.datasets else -1
