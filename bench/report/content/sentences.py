"""What a report says in sentences of plain text: the same for every format."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.cells import counted
from bench.report.content.words import KINDS
from bench.report.tables import registry
from bench.store.frame import DONE, study_history

_MOST_NAMED = 5  # files or trials that a warning names


def question(results: Analysis) -> str:
    """Return what was asked, in the user's words."""
    return str(results.plan.get("question") or "")


def warnings(results: Analysis) -> list[str]:
    """Return what a reader has to know before any number, most important first."""
    return [
        *_damaged(results),
        *_missing_trials(results),
        *_stale(results),
        *_unbalanced(results),
        *_different_classes(results),
        *_mixed(results),
    ]


def _damaged(results: Analysis) -> Iterator[str]:
    """Name files that cannot be used."""
    for line in results.damaged[:_MOST_NAMED]:
        yield f"{line}. The next run measures again what is missing."
    more = len(results.damaged) - _MOST_NAMED
    if more > 0:
        yield f"{counted(more, 'more file')} cannot be used either."


def _stale(results: Analysis) -> Iterator[str]:
    """Say which trials were measured by another version and taken as they are."""
    by_difference: dict[str, list[str]] = {}
    for trial in results.plan["trials"]:
        if trial.get("stale"):
            which = f"{trial['label']} ({results.measurement.replicate} {trial['seed']})"
            by_difference.setdefault(" and ".join(trial["stale"]), []).append(which)
    for differs, trials in by_difference.items():
        named = ", ".join(trials[:_MOST_NAMED])
        more = f" and {len(trials) - _MOST_NAMED} more" if len(trials) > _MOST_NAMED else ""
        yield (
            f"{len(trials)} of {counted(len(results.trials), 'trial')} were measured with other "
            f"{differs} and taken as they are (--accept-stale): {named}{more}."
        )


def design(results: Analysis) -> list[str]:
    """Return sentences: how many trials of what, and what the scores are scores of."""
    factors = [f"{name} ({', '.join(levels)})" for name, levels in results.factors.items()]
    combinations = math.prod(map(len, results.factors.values()))
    grid, further = len(results.grid), len(results.arms) - len(results.grid)
    if not factors:
        what = "No factor is varied"
    elif len(factors) == 1:
        what = f"One factor is varied: {factors[0]}"
    elif results.plan["design"] == "one_at_a_time":
        what = f"One factor at a time is moved away from the baseline: {', '.join(factors)}"
    else:
        what = f"Full factorial of {' × '.join(factors)}"
        what += f", {grid} of its {combinations} combinations" if grid < combinations else ""
    what += f"; {counted(further, 'arm')} beside it" if factors and further else ""
    repeated = counted(len(results.plan["seeds"]), results.measurement.replicate)
    size = (
        f"{counted(len(results.arms), 'arm')} × {repeated}: "
        f"{counted(len(results.trials), 'trial')}, of which {len(results.done)} finished."
    )
    baseline = ", ".join(f"{name} = {level}" for name, level in results.baseline.items())
    return [
        f"{what}.",
        size,
        f"Baseline: {baseline}." if baseline else "No baseline was declared.",
        *_scored_on(results),
        *_notes(results),
    ]


def reading(results: Analysis) -> str:
    """Return how to read the table of arms."""
    most = (
        int(results.done.groupby("arm")[results.metric].count().max()) if len(results.done) else 0
    )
    if most == 0:
        return "No trial has finished yet, so there are no scores."
    if most == 1:
        return (
            f"Every arm was {KINDS[results.measurement.name].made} once: what lies between two arms may be the "
            f"setting or {KINDS[results.measurement.name].chance}, and nothing here tells which."
        )
    return (
        f"{_sentence(metrics.label(results.metric))} is given as mean ± standard deviation over n "
        f"{KINDS[results.measurement.name].runs}; the 95 % interval is of the mean of such runs. Whether arms "
        "differ is not read from overlapping intervals but from the comparisons with the baseline, "
        f"which are paired by {results.measurement.replicate}."
    )


def reading_levels(results: Analysis) -> str:
    """Return how to read the table of factor levels."""
    return (
        "Each row takes in all arms that have the level. Its mean ± standard deviation is over "
        f"{results.measurement.replicate}s, each counting with its mean over these arms; n is the "
        f"number of {KINDS[results.measurement.name].run}s."
    )


def riddle(results: Analysis) -> list[str]:
    """Say how the study's score and the true one differ at the end of training, and why."""
    history = study_history(results)
    if history.empty:
        return []
    said = []
    for label in results.arms:
        rows = history[history["arm"] == label]
        if rows.empty:
            continue
        last = rows[rows["epoch"] == rows["epoch"].max()]
        score, absent, true = (
            float(last[name].mean()) for name in ("study_iou", "study_iou_absent", "mean_iou")
        )
        said.append(
            f"{label}: the study's score is {score:.3f}, of which {absent:.3f} comes from classes "
            f"that a batch does not hold; the true mean IoU is {true:.3f}." + _collapsed(last)
        )
    said.append(
        "The study's score is soft: (I + s) / (P + T - I + s) for each class of each batch, where "
        "I, P and T are sums of probabilities and s is 1e-5. A class that a batch does not hold "
        "has I = T = 0, so its score is s / (P + s): a full 1 for a network that is certain of "
        "other classes, however wrong, and next to 0 for one that leaves it a little probability, "
        "as one trained with cross-entropy does. The true mean IoU counts whole images and leaves "
        "out a class that neither occurs nor is predicted."
    )
    return said


def unplanned(results: Analysis) -> str:
    """Return how many stored records were left alone."""
    return (
        f"The store also holds {counted(results.unplanned, 'record')} of trials that are not part "
        "of this plan, of other settings, data or code; none of them is used here."
    )


def duration(results: Analysis) -> str:
    """Return how long all trials took together."""
    seconds = float(results.trials["seconds"].sum())
    hours, minutes = divmod(round(seconds) // 60, 60)
    took = f"{hours} h {minutes} min" if hours else f"{minutes} min {round(seconds) % 60} s"
    took = took.removeprefix("0 min ")
    return f"The measured trials took {took} together."


def reading_arithmetic(results: Analysis) -> str:
    """Return how to read what the networks compute."""
    moved = "window_gflops_per_megapixel" in results.trials
    return (
        "Arithmetic is counted from shapes, a multiplication and an addition as two operations; a "
        "step goes forward and backward, and its pixels are those whose prediction it scores. A "
        "prediction includes what is computed as context and dropped."
        + (
            " A sliding window is predicted here for all pixels at once, with the same result; "
            "the last column is what it takes to move it over every pixel, as it was published."
            if moved
            else ""
        )
    )


def _collapsed(runs: pd.DataFrame) -> str:
    """Tell apart the runs that live on absent classes, where only some of an arm do."""
    fallen = runs[runs["study_iou_absent"] > runs["study_iou"] / 2]
    if len(fallen) in (0, len(runs)):
        return ""
    study, true = (
        f"{fallen[name].min():.3f}" + f" to {fallen[name].max():.3f}" * (len(fallen) > 1)
        for name in ("study_iou", "mean_iou")
    )
    return (
        f" In {len(fallen)} of its {len(runs)} runs most of the score comes from there: these "
        f"score {study} by the study, and {true} truly."
    )


def _missing_trials(results: Analysis) -> Iterator[str]:
    without = results.trials[results.trials["status"] != DONE]
    if len(without):
        states = ", ".join(
            f"{n} {status}" for status, n in without["status"].value_counts(sort=False).items()
        )
        yield (
            f"The grid is incomplete: {len(without)} of {counted(len(results.trials), 'trial')} "
            f"{'has' if len(without) == 1 else 'have'} no result: {states}. "
            "Each is named under “Trials without a result”."
        )


def _unbalanced(results: Analysis) -> Iterator[str]:
    names = [name for name in results.factors if not registry.is_balanced(results, name)]
    if names:
        yield (
            f"The levels of {', '.join(names)} do not all have results under the same other "
            f"settings and {results.measurement.replicate}s, so their means differ by more than the "
            "level; comparisons with the baseline use what can be matched."
        )


def _different_classes(results: Analysis) -> Iterator[str]:
    done = results.done
    if "classes_averaged" in done and done["classes_averaged"].nunique() > 1:
        low, high = done["classes_averaged"].min(), done["classes_averaged"].max()
        yield (
            f"The mean IoU of different trials is over different classes ({low} to {high} of "
            "them): a class that neither occurs nor is predicted has none."
        )


def _mixed(results: Analysis) -> Iterator[str]:
    """Tell of digests and devices that differ; arms may differ in their data on purpose."""
    for what, values in (
        (
            "versions of the code",
            {record.provenance.get("code") for record in results.records.values()},
        ),
        ("devices", {record.environment.get("device_name") for record in results.records.values()}),
    ):
        if len(values) > 1:
            yield f"The trials were measured with {len(values)} different {what}; see the end."


def _averaged(results: Analysis) -> str:
    """Say how many classes means are over."""
    counts = results.done.get("classes_averaged")
    if counts is None or counts.isna().all():
        return ""
    low, high = int(counts.min()), int(counts.max())
    return f", here {low}" + f" to {high}" * (high > low) + f" of {len(results.palette)}"


def _scored_on(results: Analysis) -> Iterator[str]:
    done = results.done
    splits = sorted({str(split) for split in done.get("split", ())})
    if not splits:
        return
    images = sorted({str(count) for count in done["evaluated_images"]})
    yield (
        f"Scores are of the {' and '.join(splits)} split ({' or '.join(images)} images, each "
        "predicted whole), from one confusion matrix over all its images; mean IoU is the mean "
        f"over the classes that have one{_averaged(results)}."
    )
    kept = {
        record.settings.get("evaluate", {}).get("keep")
        for record in results.records.values()
        if record.status == DONE
    }
    if "best" in kept and "val" in splits:
        yield (
            "The weights are those of the epoch that scored best on val, the same split, so the "
            "scores flatter every arm a little."
        )


def _notes(results: Analysis) -> Iterator[str]:
    """Yield what datasets have to say about scores on them."""
    notes = (r.accuracy.note for r in results.records.values() if r.accuracy is not None)
    yield from dict.fromkeys(str(note) for note in notes if note)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
