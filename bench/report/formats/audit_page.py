"""A dataset's metric audit as a page: what each metric variant gives to dummy baselines."""

from __future__ import annotations

import shlex

from bench.data.dataset import Dataset, class_pixels
from bench.evaluation.audit import Audit
from bench.evaluation.dummy_baselines import DUMMY_BASELINES, most_frequent
from bench.report.content.audit import definitions, score_table
from bench.report.formats.markdown import environment


def render(dataset: Dataset, split_name: str, found: Audit, settings: list[str]) -> str:
    """Return the page as Markdown; ``settings`` are those beside the defaults: ``key=value``."""
    pixels = class_pixels(dataset.splits["train"], len(dataset.classes)).sum(0)
    command = ["python", "-m", "bench", "data", "audit", dataset.name, "--split", split_name]
    command += [word for setting in settings for word in ("--set", setting)]
    template = environment().get_template("audit.md.j2")
    return template.render(
        dataset=dataset,
        split_name=split_name,
        split=dataset.splits[split_name],
        averaged=sorted({f"{count:.0f}" for count in found.table.loc["classes_averaged"]}),
        baselines=DUMMY_BASELINES,
        frequent=dataset.classes[most_frequent(pixels)],
        scores=score_table(found.table),
        flags=[flag.text for flag in found.flags],
        variants=definitions(),
        command=f"{shlex.join(command)} --output PAGE.md",
    )
