"""``python -m bench compare``: two results folders of one experiment, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.terminal import complain, complain_of, say, table
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.analysis.compare import Changes

Tolerance = Annotated[
    float | None,
    typer.Option(min=0, help="Allowed loss: of a score [0.01], or as a share of a speed [0.05]."),
]


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Results as they were.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Results as they are.")],
    tolerance: Tolerance = None,
) -> int:
    """Compare two results folders trial by trial; exit with 1 where B is worse than A."""
    from bench.analysis import compare as comparing

    found, alone = comparing.pairs(first, second)
    for name in alone:
        say(f"{name}: only in one of the two folders")
    worse: list[str] = []
    unreadable: list[UserError] = []
    for name, ours, theirs in found:
        try:
            changes = comparing.compare(ours, theirs, tolerance)
        except UserError as error:
            unreadable.append(error)
            continue
        _show(name, changes)
        worse += [f"{name}: {line}" for line in changes.complaints]
    for line in worse:
        complain(line)
    return complain_of(unreadable) or (1 if worse else 0)


def _show(name: str, changes: Changes) -> None:
    done = f"{changes.matched} trials finished in both"
    say(f"{name}: {done}, {changes.identical} of them with the same {changes.metric}")
    change = "B / A" if changes.relative else "B - A"
    ends = ("A", "B", f"{change} [95 %]", "time B / A [95 %]")
    rows = [
        (arm.arm, str(arm.change.n), *arm.cells(relative=changes.relative)) for arm in changes.arms
    ]
    table(("arm", f"{changes.measurement.replicate}s", *ends), rows)
    for line in changes.alone:
        say(f"only in one: {line}")
    for what, (a, b) in changes.differing.items():
        say(f"differs: {what}: {a} in A, {b} in B")
