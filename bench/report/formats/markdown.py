"""The report as GitHub-flavoured Markdown. Whatever a user named stays text."""

from __future__ import annotations

import re
from functools import cache, partial

import jinja2
from markupsafe import Markup

from bench.report.content import (
    audit,
    collapse,
    cost,
    effect_views,
    evaluations,
    other_metrics,
    planning,
    ranking,
    tuning,
    views,
)
from bench.report.content.plain import plain
from bench.report.content.prose import say
from bench.report.content.table import MOST_ROWS, Table
from bench.report.document import Document

# Escaped wherever they stand; an underscore only where it could open or close emphasis, so
# that names like loss_ablation stay readable in the source.
_SPECIAL = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])|(?<=:)/(?=/)|(?<=www)\.")
_LIST_MARK = re.compile(r"^(\d*)([-+.)])(?=\s|-|$)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render(document: Document) -> str:
    """Return the report."""
    results = document.results
    captions = {name: str(one.get_label()) for name, one in document.figures.items()}
    template = environment().get_template("report.md.j2")
    return template.render(
        results=results,
        plan=results.plan,
        say=partial(say, results),
        show=views,
        statistics=effect_views,
        costs=cost,
        audits=document.audits,
        elsewhere=evaluations,
        tuned=tuning,
        lost=collapse,
        by_metric=other_metrics,
        planned=planning,
        order=ranking,
        scored_again=document.evaluations,
        say_of=say,
        variants=audit.definitions(),
        figures={name: caption.partition(". ")[::2] for name, caption in captions.items()},
        most_rows=MOST_ROWS,
    )


@cache
def environment() -> jinja2.Environment:
    """Return what templates are rendered with: what they print is escaped unless it is markup."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report", "templates"),
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"table": table, "code": code, "inline_code": inline_code}
    return found


def escape(text: str) -> str:
    """Return text that reads the same after Markdown was rendered, as one line."""
    line = "".join(_ENTITIES.get(c, c) for c in _SPECIAL.sub(r"\\\g<0>", plain(text)))
    return _LIST_MARK.sub(r"\1\\\2", line)


def table(content: Table) -> Markup:
    """Return a table; columns of numbers are aligned to the right."""
    lines = [
        map(escape, content.headings),
        ["--:" if column.numeric else "---" for column in content.columns],
        *(map(escape, row) for row in content.text()),
    ]
    return Markup("\n".join(f"| {' | '.join(line)} |" for line in lines))


def code(text: str) -> Markup:
    """Return a block of code, fenced by more backticks than the text has in a row."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}\n{' '.join(text.split())}\n{fence}")


def inline_code(text: str) -> Markup:
    """Return code within a line; it must hold no backtick."""
    return Markup(f"`{text}`")
