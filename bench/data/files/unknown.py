"""Values and colours of masks that are no class: how often they occur, and the likely mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bench.errors import UserError

Meaning = int | tuple[int, ...]  # what a pixel of a mask holds: a value, or a colour
Mend = Callable[[Mapping[Meaning, int], frozenset[Meaning]], str]

MOST_COUNTED = 4096  # values or colours of a mask
PHOTOGRAPH = 64  # more values or colours than this in one mask are those of a photograph
_NAMED = 3  # unknown values that a message names
_RARE = 0.01  # of the pixels; colours rarer than this come from resizing or lossy compression


class UnknownLabels(UserError):
    """A mask has values or colours that are no class and not void.

    ``counts`` are the pixels of everything in the mask, ``unknown`` is what is no class. Whose
    classes are the user's own is told the likely ``mend``; None for other datasets.
    """

    def __init__(
        self,
        message: str,
        counts: Mapping[Meaning, int] | None = None,
        unknown: frozenset[Meaning] = frozenset(),
        mend: Mend | None = None,
    ) -> None:
        super().__init__(message)  # alone, when a loader process passes it on
        self.counts = dict(counts or {})
        self.unknown = unknown
        self.mend = mend

    @classmethod
    def of(
        cls,
        source: object,
        counts: Mapping[Meaning, int],
        unknown: frozenset[Meaning],
        mend: Mend | None = None,
    ) -> UnknownLabels:
        """Return the error about one mask."""
        named = [
            f"{meaning} in {counts[meaning]} pixel{'s' if counts[meaning] > 1 else ''}"
            for meaning in _most_frequent(counts, unknown)
        ]
        kind = _kind(unknown)
        number = f"{len(unknown)}{'+' * (len(counts) == MOST_COUNTED)}"
        start = f"unknown {kind}" if len(unknown) == 1 else f"{number} unknown {kind}s:"
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        likely = f"; {mend(counts, unknown)}" if mend else ""
        return cls(f"{source}: {start} {', '.join(named)}{more}{likely}", counts, unknown, mend)

    @staticmethod
    def together(errors: Sequence[UnknownLabels]) -> str:
        """Return what several masks have that is no class, and the likely mend."""
        counts: Counter[Meaning] = Counter()
        for error in errors:
            counts.update(error.counts)
        unknown = frozenset[Meaning]().union(*(error.unknown for error in errors))
        named = []
        for meaning in _most_frequent(counts, unknown):
            masks = sum(meaning in error.unknown for error in errors)
            share = f"{counts[meaning] / counts.total():.2%} of their pixels"
            of = f" ({masks} mask{'s' * (masks > 1)})" * (masks < len(errors))
            named.append(f"{meaning} in {share}{of}")
        kind, is_are = _kind(unknown), "is" if len(unknown) == 1 else "are"
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        plural = "s" * (len(unknown) > 1)
        shown = f"{kind}{plural} {', '.join(named)}{more}"
        mend = errors[0].mend
        likely = f"; {mend(counts, unknown)}" if mend else ""
        return f"{shown} {is_are} no class{likely}"


def in_classes_file(counts: Mapping[Meaning, int], unknown: frozenset[Meaning]) -> str:
    """Return what a user is likely to have to write into ``classes.yaml``, or to look at."""
    kind = _kind(unknown)
    if len(unknown) > PHOTOGRAPH:
        return f"as many {kind}s as in a photograph: are images and masks swapped?"
    if unknown == {255}:
        if counts.keys() <= {0, 255}:
            both = "names: {0: background, 255: object}"
            return f"if masks are 0 and 255, write `{both}`; `ignore: [255]` if 255 is void"
        return "`ignore: [255]` in classes.yaml if it is void, else give it a name: `{255: …}`"
    if kind == "colour":
        if sum(counts[meaning] for meaning in unknown) < _RARE * sum(counts.values()):
            return "so few look like masks resized with interpolation, or saved with loss"
        return "add it to `names` and `colours`, or to `ignore` if it is void"
    return "give it a name, as in `names: {0: …, 7: …}`, or add it to `ignore` if it is void"


def in_table_of_colours(counts: Mapping[Meaning, int], unknown: frozenset[Meaning]) -> str:
    """Return the likely mend of a mask whose values are places in a table of colours."""
    if unknown == {255}:
        return in_classes_file(counts, unknown)
    return "values are places in the mask's table of colours, which `masks: palette` reads"


def _kind(unknown: frozenset[Meaning]) -> str:
    return "colour" if any(isinstance(meaning, tuple) for meaning in unknown) else "value"


def _most_frequent(counts: Mapping[Meaning, int], unknown: frozenset[Meaning]) -> list[Meaning]:
    return sorted(unknown, key=lambda meaning: (-counts[meaning], meaning))[:_NAMED]
