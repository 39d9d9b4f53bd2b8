"""A strip of dots for each arm: every training run on one axis, drawn inside a table."""

from __future__ import annotations

from markupsafe import Markup

from bench import metrics
from bench.analysis.analysis import Analysis

WIDTH, HEIGHT = 150, 20
_EDGE = 6  # pixels that no dot's centre comes near


class Strips:
    """Draws strips that share an axis: from the lowest score of any run to the highest."""

    def __init__(self, results: Analysis) -> None:
        done = results.done
        self._values = {
            str(arm): group.dropna().tolist()
            for arm, group in done.groupby("arm", sort=False)[results.metric]
        }
        everything = done[results.metric].dropna()
        self._low = float(everything.min()) if len(everything) else 0.0
        self._high = float(everything.max()) if len(everything) else 1.0
        baseline = self._values.get(results.baseline_arm or "")
        self._baseline = sum(baseline) / len(baseline) if baseline else None
        self.metric = metrics.label(results.metric)

    @property
    def axis(self) -> str:
        """What the axis reaches from and to."""
        return f"{self._number(self._low)} to {self._number(self._high)}"

    def draw(self, arm: str) -> Markup:
        """Return the strip of an arm: a dot a run, a bar their mean, a dashed line the baseline."""
        values = self._values.get(arm, [])
        said = ", ".join(map(self._number, values)) or "no result"
        middle = f"{HEIGHT / 2:g}"
        parts = [f'<path class="strip-axis" d="M0 {middle}H{WIDTH}"/>']
        if self._baseline is not None:
            at = self._x(self._baseline)
            parts.append(f'<path class="strip-base" d="M{at} 1V{HEIGHT - 1}"/>')
        parts += (f'<circle cx="{self._x(v)}" cy="{middle}" r="3.5"/>' for v in values)
        if values:
            at = self._x(sum(values) / len(values))
            parts.append(f'<path class="strip-mean" d="M{at} 3V{HEIGHT - 3}"/>')
        return Markup(
            f'<svg class="strip" role="img" aria-label="{said}" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}">{"".join(parts)}</svg>'
        )

    def _number(self, value: float) -> str:
        return f"{value:.3f}" if self._high < 10 else f"{value:,.1f}"

    def _x(self, value: float) -> str:
        span = self._high - self._low
        share = (value - self._low) / span if span else 0.5
        return f"{_EDGE + share * (WIDTH - 2 * _EDGE):.1f}"
