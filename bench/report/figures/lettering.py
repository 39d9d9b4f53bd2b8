"""Text that a user gave, short enough for its place in a figure."""

from __future__ import annotations

from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from bench.report.content.plain import plain
from bench.report.figures.style import SMALL, ArmStyle


def one_line(text: str, limit: int = 60) -> str:
    """Return text that a user gave as one line of at most ``limit`` letters."""
    flat = plain(text)
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def wrapped(text: str, inches: float, *, lines: int = 3) -> str:
    """Return text as at most ``lines`` lines that are no wider than ``inches``."""
    flat = one_line(text, 200).replace(" · ", "\u00a0· ")  # no line begins with the dot
    found: list[str] = []
    for word in flat.split(" "):
        if found and text_width(f"{found[-1]} {word}") <= inches:
            found[-1] += f" {word}"
        else:
            found.append(word)
    if len(found) > lines:
        found[lines - 1 :] = [f"{found[lines - 1]} …"]
    return "\n".join(_cut(line, inches) for line in found).replace("\u00a0", " ")


def text_width(text: str) -> float:
    """Return the width in inches of one line of small letters."""
    points: float = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=SMALL), ismath=False
    )[0]
    return points / 72


def legend_text(text: str) -> str:
    """Return a legend entry that matplotlib does not leave out because of a leading ``_``."""
    return "\u200a" + text if text.startswith("_") else text


def handle(label: str, style: ArmStyle, *, line: bool) -> Line2D:
    """Return what stands for an arm in a legend: its line, or else its marker."""
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=style.dash if line else "none",
        marker="" if line else style.marker,
        lw=2.0,
        label=legend_text(wrapped(label, 2.3) if line else one_line(label, 44)),
    )


def _cut(line: str, inches: float) -> str:
    length = len(line)
    while text_width(line) > inches and length > 1:
        length -= 1
        line = f"{line[:length]}…"
    return line
