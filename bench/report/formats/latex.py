"""The tables of a report for a paper: LaTeX that needs the package booktabs and nothing else.

The file is UTF-8, which every TeX engine of today reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.report.content import effect_views, tuning, views
from bench.report.content.plain import plain
from bench.report.content.prose import say
from bench.report.content.table import Table

MOST_ROWS = 60  # a table has to fit on a page

_NAMED = "backslash asciicircum asciitilde asciigrave less greater bar"
_MATHS = r"- \pm \times \cdot \infty \leq \geq \approx \omega ^2"
_SPECIAL = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "{}$&#%_"},
        **{c: f"\\text{name}{{}}" for c, name in zip("\\^~`<>|", _NAMED.split(), strict=True)},
        **{c: f"${maths}$" for c, maths in zip("−±×·∞≤≥≈ω²", _MATHS.split(), strict=True)},
        # Two of ' or - would be joined, and [ and * be taken for arguments of a line break.
        **{letter: f"{{{letter}}}" for letter in "'-[*"},
        '"': "''",
    }
)


def render(results: Analysis) -> str:
    """Return the tables of arms, of comparisons and of tuning, to be used by ``\\input``."""
    arms = views.arm_table(results).without("parameters", "seconds", "classes_averaged")
    effects = effect_views.effect_table(results)
    diagnostics = ["correlation"]
    if any(column.name == "p_corrected" for column in effects.columns):
        diagnostics.append("p")
    about = f"{results.plan.name}: {' '.join(say(results, 'effects', paper=True))}"
    tuned = [f"{results.plan.name}: tuning.", *say(results, "tuning")]
    parts = [
        "% Made by python -m bench report. Needs \\usepackage{booktabs}.",
        *_table(results, "arms", arms, " ".join(say(results, "caption"))),
        *_table(results, "comparisons", effects.without(*diagnostics), about),
        *_table(results, "tuning", tuning.effect_table(results), " ".join(tuned)),
    ]
    return "\n".join(parts) + "\n"


def escape(text: object) -> str:
    """Return text as LaTeX that prints it."""
    return plain(text).translate(_SPECIAL)


def _table(results: Analysis, name: str, content: Table, caption: str) -> Iterator[str]:
    if not content.rows:
        return
    shown = content.first_rows(MOST_ROWS)
    if len(shown.rows) < len(content.rows):
        caption += f" The first {len(shown.rows)} of {len(content.rows)} rows."
    label = re.sub(r"[^a-z0-9]+", "-", f"{results.plan.name}-{name}".lower()).strip("-")
    frame = pd.DataFrame(shown.text(), columns=list(map(escape, shown.headings)))
    styled = frame.style.format(escape).hide(axis="index")
    yield styled.to_latex(
        hrules=True,
        caption=escape(caption),
        label=f"tab:{label}",
        position_float="centering",
        column_format="".join("r" if column.numeric else "l" for column in shown.columns),
    ).rstrip()
