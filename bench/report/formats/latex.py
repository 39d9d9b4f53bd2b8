"""The tables of a report for a paper: LaTeX that needs the package booktabs and nothing else.

The file is pure ASCII, so that it does not matter which encoding or which TeX its reader uses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content import answers, views
from bench.report.content.plain import numeric, plain
from bench.report.content.views import Table
from bench.report.content.words import KINDS

MOST_ROWS = 60  # a table has to fit on a page

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": "{'}",  # or two of them would become one mark
    "-": "{-}",  # or two of them would become a dash
    "[": "{[}",  # or it would be an argument of the line break before it
    "*": "{*}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": r"$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "²": r"$^2$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "→": r"$\rightarrow$",
    "µ": r"$\mu$",
    "δ": r"$\delta$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "η": r"$\eta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "ω": r"$\omega$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
_SPECIAL['"'] = "''"  # \textquotedbl needs another font encoding than the default
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}


def render(results: Analysis) -> str:
    """Return the tables of arms and of comparisons, to be used by ``\\input``."""
    parts = [
        "% Made by python -m bench report. Needs \\usepackage{booktabs}.",
        *_table(results, "arms", _arms(results), _about_arms(results)),
        *_table(results, "comparisons", _comparisons(results), _about_comparisons(results)),
    ]
    return "\n".join(parts) + "\n"


def escape(text: object) -> str:
    """Return text as LaTeX that prints it, in ASCII.

    A letter that TeX's default fonts lack is printed as its number: ``[U+65E5]``.
    """
    return "".join(map(_letter, unicodedata.normalize("NFC", plain(text))))


def _letter(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if letter.isascii():
        return letter
    parts = unicodedata.normalize("NFD", letter)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS:
        return f"\\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"{{[}}U+{ord(letter):04X}]"


def _table(results: Analysis, name: str, content: Table, caption: str) -> Iterator[str]:
    if not content.rows:
        return
    right, rows = numeric(content), content.rows[:MOST_ROWS]
    if len(rows) < len(content.rows):
        caption += f" The first {len(rows)} of {len(content.rows)} rows."
    label = re.sub(r"[^a-z0-9]+", "-", f"{results.plan['name']}-{name}".lower()).strip("-")
    yield "\\begin{table}"
    yield "  \\centering"
    yield f"  \\caption{{{escape(caption)}}}"
    yield f"  \\label{{tab:{label}}}"
    yield f"  \\begin{{tabular}}{{{''.join('r' if each else 'l' for each in right)}}}"
    yield "    \\toprule"
    yield f"    {_row(content.columns)}"
    yield "    \\midrule"
    yield from (f"    {_row(row)}" for row in rows)
    yield "    \\bottomrule"
    yield "  \\end{tabular}"
    yield "\\end{table}"


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def _arms(results: Analysis) -> Table:
    """Return arms with what a paper has room for: their score, n and further scores."""
    return _without(views.arm_table(results), {"parameters", "seconds", "classes averaged"})


def _comparisons(results: Analysis) -> Table:
    """Return comparisons with what decides about them."""
    content = views.effect_table(results)
    corrected = {"p"} & set(content.columns) if "p corrected" in content.columns else set()
    replicate = results.measurement.replicate
    diagnostics = {"P(higher)", f"{replicate} correlation", f"{replicate}s that would decide"}
    return _without(content, corrected | diagnostics)


def _without(content: Table, left_out: set[str]) -> Table:
    kept = [i for i, column in enumerate(content.columns) if column not in left_out]
    return Table(
        tuple(content.columns[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in content.rows),
    )


def _about_arms(results: Analysis) -> str:
    return (
        f"{results.plan['name']}: {metrics.label(results.metric)} by arm, mean ± standard deviation over "
        f"n {KINDS[results.measurement.name].runs}."
    )


def _about_comparisons(results: Analysis) -> str:
    return f"{results.plan['name']}: {answers.reading_effects(results)}"
