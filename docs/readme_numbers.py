"""Write the numbers of READMEs from what is stored: ``python docs/readme_numbers.py``.

A block of a README begins with ``<!-- numbers: NAME -->`` and ends with ``<!-- end -->``;
what stands between is made by the function of that name below, from files under ``results/``.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.analysis.analysis import load
from bench.execution.progress import duration
from bench.report.content import audit
from bench.report.content.facts import study_scores
from bench.report.content.numbers import score
from bench.report.content.prose import say
from bench.report.formats import markdown
from bench.store.folder import Store
from bench.store.frame import Results

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "README.md", ROOT / "results" / "README.md"
BLOCK = re.compile(r"(<!-- numbers: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Experiments whose records lie in results/, in the order in which the README tells of them.
STUDY = "msrc_v2_study_reproduction"
FINDINGS = (
    STUDY,
    "fair_loss_ablation",
    "isbi2012_small",
    "cells_ablation",
    "cells_windows",
    "throughput",
)

REPORT = f"results/{STUDY}/report"
QUESTION = """
**Question.** A student's U-Net scored a “mean IoU” of 0.82 on the photographs of MSRC-v2 with Dice
as its loss, and its predictions were useless. With Dice + CE it scored 0.035, and they were decent.
Why?
"""
ANSWER = """
**Answer.** That score counts a class that is in no image of a batch as right, unless the network
gives it some probability. To call every pixel *void* scores {constant}. Trained again as in the
study, at a quarter of the width, Dice scores {low} to {high} in {fallen} of {runs} runs, most of it
for absent classes; CE scores {ce_study} and Dice + CE {both_study}. True mean IoU is {dice_true}
with Dice, {ce_true} with CE and {both_true} with Dice + CE. {verdict}
([{trials} runs]({report}/report.md))
"""
CURVES = f"![The study's score and true mean IoU by epoch]({REPORT}/figures/original_study.png)"

# Test of tests/benchmarks → what it races, as a reader would say it.
RACES = {
    "test_dice_ce": "Dice + CE, forward and backward, 8 × 22 × 192²",
    "test_confusion_matrix": "confusion matrix, 8 × 192², 22 classes with void",
    "test_elastic_deformation": "elastic deformation, 256² RGB and mask, in `A.Compose`",
    "test_mask_decoding": "MSRC mask → labels, 213 × 320",
    "test_loading_an_epoch": "loading an epoch: 24 crops of 64²",
    "test_training_step[transposed]": "training step, U-Net 64 transposed, 2 × 3 × 192²",
    "test_training_step[bilinear]": "training step, U-Net 64 bilinear, 2 × 3 × 192²",
    "test_a_trial_takes_little_more_than_its_steps": "a trial, over a bare loop of its steps",
    "test_100_000_trials_are_planned": "planning 100,000 trials",
    "test_10_000_stored_trials_are_scanned": "reading 10,000 stored trials",
}


def rewritten(readme: str) -> str:
    """Return the README with every block made anew.

    Raises:
        KeyError: if a block has a name that no function here has.
    """
    return BLOCK.sub(lambda found: found[1] + BLOCKS[found[2]]() + found[3], readme)


def microbenchmarks() -> str:
    """Return the table of ratios of ``tox -e bench``."""
    stored = json.loads((ROOT / "results" / "microbenchmarks.json").read_text(encoding="utf-8"))
    by_name = {one["name"]: one for one in stored["benchmarks"]}
    lines = ["| float32 on the CPU, 2 threads | ours | time relative to ours |", "|---|--:|---|"]
    lines += [_race(words, by_name[name]) for name, words in RACES.items() if name in by_name]
    machine = stored["machine_info"]
    lines += [
        "",
        (
            f"Medians of alternating turns in one process, on {stored['datetime'][:10]}: "
            f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, Python "
            f"{machine['python']}. Rerun with `tox -e bench`."
        ),
    ]
    return "\n".join(lines) + "\n"


def _race(words: str, race: Mapping[str, Any]) -> str:
    seconds = dict(race["seconds"])
    name = next(iter(seconds))
    ours = seconds.pop(name)
    ratios = ", ".join(f"{peer} ×{_figures(s / ours)}" for peer, s in seconds.items())
    return f"| {words} | {_duration(ours)} | {ratios or '–'} |"


def _figures(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def original_study() -> str:
    """Return what the study's score is made of, by records of its protocol."""
    results = load(Store(ROOT / "results" / STUDY))
    scores = study_scores(results)
    table = audit.sections(results)[0].table
    column = [one.name for one in table.columns].index("study")
    constant = next(row[column] for row in table.rows if row[0] == "most_frequent")
    scored = {
        f"{key}_{short}": score(runs[name].mean())
        for key, runs in zip(("dice", "ce", "both"), scores.values(), strict=True)
        for short, name in (("study", "study_iou"), ("true", "mean_iou"))
    }
    dice = scores["dice"]
    misled = dice[dice.study_iou_absent > dice.study_iou / 2].study_iou
    answer = ANSWER.format(
        constant=score(constant),
        low=score(misled.min()),
        high=score(misled.max()),
        fallen=len(misled),
        runs=len(dice),
        verdict=" ".join(one for one in _verdicts(results) if "original study" not in one),
        trials=len(results.done),
        report=REPORT,
        **scored,
    )
    told = (textwrap.fill(text.strip(), 100, break_on_hyphens=False) for text in (QUESTION, answer))
    return "\n\n".join((*told, CURVES)) + "\n"


def findings() -> str:
    """Return question and answer of experiments that were run, and where their reports lie."""
    told = (load(Store(ROOT / "results" / name)) for name in FINDINGS if name != STUDY)
    return "\n".join(map(_finding, told)) + "\n"


def _finding(results: Results) -> str:
    runs, name = len(results.done), results.store.folder.name
    data = " and ".join(sorted({r.settings["data"]["name"] for r in results.records.values()}))
    made = f"[{runs} runs](results/{name}/report/report.md) of `{data}`"
    answers = " ".join(_verdicts(results))
    return f"- **{results.plan.question}** {answers} ({made})"


def _verdicts(results: Results) -> list[str]:
    """Return the sentences of an answer, but for how small a difference would be detected."""
    said = say(results, "answer")
    return [markdown.escape(one) for one in said if " % power to detect " not in one]


def committed() -> str:
    """Return a row for each experiment whose records lie in results/: how it was made."""
    head = "| experiment | question | made by | trials | time, added up | on | ended |"
    lines = [head, "|---|---|---|--:|--:|---|---|"]
    return "\n".join([*lines, *(_committed(ROOT / "results" / name) for name in FINDINGS)]) + "\n"


def _committed(folder: Path) -> str:
    store = Store(folder)
    records, plan = list(store.records()), load(store).plan
    machines = {
        f"{one.environment['device_name']}, threads: {one.environment['threads']}, "
        f"torch {one.environment['torch']}"
        for one in records
    }
    ended = max(record.started[:10] for record in records)
    cells = [
        f"[{folder.name}]({folder.name}/report/report.md)",
        markdown.escape(plan.question),
        f"`{plan.command}`",
        str(len(records)),
        duration(sum(record.seconds for record in records)),
        " and ".join(sorted(machines)),
        ended,
    ]
    return f"| {' | '.join(cells)} |"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "committed": committed,
    "findings": findings,
    "microbenchmarks": microbenchmarks,
    "original_study": original_study,
}


if __name__ == "__main__":
    for readme in FILES:
        text = readme.read_text(encoding="utf-8")
        readme.write_text(rewritten(text), encoding="utf-8")
        sys.stdout.write(f"{readme}: {len(BLOCK.findall(text))} blocks written\n")
