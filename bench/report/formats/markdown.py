"""The report as GitHub-flavoured Markdown. Whatever a user named stays text."""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup

from bench.report.content import answers, audit, sentences, views
from bench.report.content.cells import MOST_ROWS, first_rows
from bench.report.content.cost import arithmetic_table
from bench.report.content.views import Table
from bench.report.document import Document

# Escaped wherever they stand; an underscore only where it could open or close emphasis, so
# that names like loss_ablation stay readable in the source.
_SPECIAL = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])|(?<=:)/(?=/)|(?<=www)\.")
_LIST_MARK = re.compile(r"^(\d*)([-+.)])(?=\s|-|$)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render(document: Document) -> str:
    """Return the report."""
    results = document.results
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report", "templates"),
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"table": table, "code": code, "first_rows": first_rows}
    return environment.get_template("report.md.j2").render(
        results=results,
        plan=results.plan,
        answers=answers,
        say=sentences,
        show=views,
        audits=document.audits,
        variants=audit.definitions(),
        arithmetic_table=arithmetic_table,
        figures={name: str(one.get_label()) for name, one in document.figures.items()},
        most_rows=MOST_ROWS,
    )


def escape(text: str) -> str:
    """Return text that reads the same after Markdown was rendered, as one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = "".join(_ENTITIES.get(c, c) for c in _SPECIAL.sub(r"\\\g<0>", line))
    return _LIST_MARK.sub(r"\1\\\2", line)


def table(content: Table) -> Markup:
    """Return a table; columns of numbers are aligned to the right."""
    numeric = [all(_is_number(row[i]) for row in content.rows) for i in range(len(content.columns))]
    lines = [
        [escape(name) for name in content.columns],
        ["--:" if right else "---" for right in numeric],
        *([escape(cell) for cell in row] for row in content.rows),
    ]
    return Markup("\n".join(f"| {' | '.join(line)} |" for line in lines))


def code(text: str) -> Markup:
    """Return a block of code, fenced by more backticks than the text has in a row."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}\n{' '.join(text.split())}\n{fence}")


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[\d.,±–\s-]*", cell))
