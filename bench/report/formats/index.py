"""The page that lists the experiments of a results folder, each with the gist of its answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.analysis.analysis import Analysis
from bench.report.content.prose import say
from bench.report.formats import html


@dataclass(frozen=True)
class Entry:
    """One experiment of the list."""

    name: str
    question: str
    answer: str  # the first sentence of it
    counts: tuple[tuple[str, int], ...]  # (status, number of trials), those that finished first
    newest: str  # the date of its newest record; empty where nothing was measured
    link: str  # where its report lies, from the list; empty where there is none
    together: str = ""  # name of the experiment on several datasets that it is a part of


def entry(results: Analysis, folder: Path) -> Entry:
    """Return what is listed of an experiment, whose report lies in ``folder/report``."""
    page = folder / "report" / "report.html"
    counts = results.trials["status"].value_counts(sort=False)
    ordered = sorted(counts.items(), key=lambda item: item[0] != "done")
    return Entry(
        name=results.plan.name,
        question=results.plan.question,
        answer=next(iter(say(results, "answer")), ""),
        counts=tuple((str(status), int(number)) for status, number in ordered),
        newest=max((record.started[:10] for record in results.records.values()), default=""),
        link=link(page, folder.parent) if page.is_file() else "",
        together=results.plan.block.experiment if results.plan.block else "",
    )


def link(page: Path, folder: Path) -> str:
    """Return a link to a page from one in a folder above it."""
    return quote(os.fsencode(page.relative_to(folder).as_posix()))


def render(entries: Sequence[Entry], folder: Path) -> str:
    """Return the page, which lies in ``folder``; the experiments in the order given."""
    names = {entry.together for entry in entries if entry.together}
    pages = {name: folder / f"{name}.html" for name in sorted(names)}
    links = {name: link(page, folder) for name, page in pages.items() if page.is_file()}
    context = {"entries": entries, "together": links}
    return html.page("index.html.j2", context, styles=[html.text("page.css")])
