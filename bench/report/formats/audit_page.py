"""A dataset's audit as a page: what each convention gives to who knows nothing of its images."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from bench.data.dataset import Dataset, class_pixels
from bench.evaluation.audit import Audit
from bench.evaluation.dummy_baselines import CANARIES, most_frequent
from bench.report.content.audit import definitions
from bench.report.content.views import Table
from bench.report.formats.markdown import escape, table


def render(dataset: Dataset, split_name: str, found: Audit, settings: list[str]) -> str:
    """Return the page as Markdown.

    Args:
        dataset: whose split was audited.
        split_name: which split.
        found: the audit.
        settings: ``key=value`` by which the dataset differs from its defaults.
    """
    split = dataset.splits[split_name]
    pixels = class_pixels(dataset.splits["train"], len(dataset.classes)).sum(0)
    frequent = dataset.classes[most_frequent(pixels)]
    header = {"most_frequent": f"most_frequent ({frequent})"}
    command = ["python", "-m", "bench", "data", "audit", dataset.name, "--split", split_name]
    for setting in settings:
        command += ["--set", setting]
    averaged = sorted({f"{count:.0f}" for count in found.table.loc["classes_averaged"]})
    parts = [
        f"# What knowing nothing scores on {escape(dataset.name)}, {escape(split_name)}",
        (
            f"{len(split.names)} images, {len(dataset.classes)} classes; `dataset` is a mean over "
            f"{' or '.join(averaged)} of them. Four predictors that need no network are scored by "
            "each convention that goes by the name of mean IoU or Dice:"
        ),
        "\n".join(f"- `{name}` {escape(does)}" for name, does in CANARIES.items()),
        table(_scores(found, header)),
        (
            "`study_absent` and `study_present` are the parts of `study` from classes that a batch "
            "does not hold, and holds."
        ),
        *(f"> **Warning:** {escape(flag.text)}" for flag in found.flags),
        "## What each convention is",
        table(definitions()),
        (
            f"Made by `{shlex.join(command)} --output PAGE.md`; "
            f"digest of the images: `{split.fingerprint}`."
        ),
    ]
    return "\n\n".join(map(str, parts)) + "\n"


def _scores(found: Audit, header: Mapping[str, str]) -> Table:
    rows = []
    for name, scores in zip(found.table.index, found.table.to_numpy(), strict=True):
        digits = 0 if name == "classes_averaged" else 3
        rows.append((str(name), *(f"{score:.{digits}f}" for score in scores)))
    columns = (header.get(str(name), str(name)) for name in found.table.columns)
    return Table(("convention", *columns), tuple(rows))
