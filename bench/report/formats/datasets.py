"""The page of an experiment on several datasets: a panel for each, and where verdicts agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.report.content import effect_views
from bench.report.content.datasets import Panel, agreement, verdict_table
from bench.report.content.prose import say
from bench.report.content.table import MOST_ROWS
from bench.report.formats import html
from bench.report.formats.markdown import environment


def html_page(panels: Sequence[Panel]) -> str:
    """Return the page as HTML."""
    return html.page("datasets.html.j2", _context(panels), styles=[html.text("page.css")])


def markdown(panels: Sequence[Panel]) -> str:
    """Return the page as Markdown."""
    return environment().get_template("datasets.md.j2").render(_context(panels))


def _context(panels: Sequence[Panel]) -> dict[str, Any]:
    first = panels[0]
    return {
        "name": first.block.experiment,
        "results": first.results,
        "plan": first.results.plan,
        "panels": panels,
        "agreement": agreement(panels),
        "verdicts": verdict_table(panels),
        "about": " ".join(say(first.results, "datasets_about")),
        "say_of": say,
        "statistics": effect_views,
        "most_rows": MOST_ROWS,
    }
