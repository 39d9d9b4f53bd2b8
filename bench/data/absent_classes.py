"""Classes without a pixel in a split: what is not learned, and what a mean leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.data.files.pairs import first_of
from bench.data.inspect import SplitReport


def remarks(found: Mapping[str, SplitReport], classes: Sequence[str]) -> list[str]:
    """Return a line for each split that has no pixel of some classes."""
    absent = {split: _absent(report, classes) for split, report in found.items()}
    nowhere = [name for name in classes if all(name in names for names in absent.values())]
    lines = []
    if nowhere:
        lines.append(f"no mask has a pixel of {first_of(nowhere)}; are values and names right?")
    for split, names in absent.items():
        here = [name for name in names if name not in nowhere]
        if not here or len(names) == len(classes):
            continue
        named = first_of(here)
        if split == "train":
            lines.append(f"train has no pixel of {named}: of that, nothing can be learned")
            continue
        counted = len(classes) - len(names)
        lines.append(
            f"{split} has no pixel of {named}: a mean over classes is of {counted} of "
            f"{len(classes)}, and of what is predicted by mistake"
        )
    return lines


def refusal(split: str, report: SplitReport, classes: Sequence[str]) -> str | None:
    """Return why nothing can be scored on a split: all its pixels are of one class, or void."""
    absent = _absent(report, classes)
    present = [name for name in classes if name not in absent]
    if len(present) > 1 or not report.pixels.any():
        return None
    if not present:
        return f"every pixel of the {split} split is void: nothing can be scored on it"
    is_void = " or void" if report.void_share else ""
    return (
        f"every pixel of the {split} split is {present[0]}{is_void}: who answers {present[0]} "
        "everywhere scores 1, so nothing can be compared on it; are values and names right?"
    )


def _absent(report: SplitReport, classes: Sequence[str]) -> list[str]:
    return [name for label, name in enumerate(classes) if not report.pixels[label]]
