"""What every format of a report is made of, each part made once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from bench.analysis.analysis import Analysis
from bench.report.content import audit, evaluations
from bench.report.figures.registry import FIGURES


@dataclass(frozen=True, eq=False)
class Document:
    """The report of one experiment, before it is written in any format."""

    results: Analysis

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """Name → figure, of those of ``FIGURES`` that have something to show."""
        drawn = {name: function(self.results) for name, function in FIGURES.items()}
        return {name: figure for name, figure in drawn.items() if figure is not None}

    @cached_property
    def audits(self) -> tuple[audit.Section, ...]:
        """The metric audit, once for each set of pixels that arms were evaluated on."""
        return audit.sections(self.results)

    @cached_property
    def evaluations(self) -> tuple[evaluations.Section, ...]:
        """What the stored networks score elsewhere, once for each way in which they were scored."""
        return evaluations.sections(self.results)
