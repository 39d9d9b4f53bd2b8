"""What a reader of times has to know: how measuring ended, and what is not like with like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from bench.analysis.analysis import Analysis
from bench.store.frame import DONE
from bench.store.records import Record
from bench.store.results import PeakOf, ThroughputResult

_KINDS: dict[PeakOf, str] = {
    "allocated": "what torch allocated on the device",
    "reserved": "what torch reserved on the device (CUDA graphs allocate nothing)",
    "process": "the main memory of the process",
}


@dataclass(frozen=True)
class OutOfTime:
    """Trials of which measuring ended because time was up."""

    trials: int
    of: int
    error: float  # the largest standard error of a median, as a share of it
    wanted: float  # the smallest that was to be reached


def out_of_time(results: Analysis) -> OutOfTime | None:
    """Return how far from the wanted precision times are, where any are."""
    found = [one.measuring for _, one in _timed(results) if one.measuring is not None]
    late = [one for one in found if one.ended == "time"]
    if not late:
        return None
    error, wanted = max(one.standard_error for one in late), min(one.wanted for one in late)
    return OutOfTime(len(late), len(found), error, wanted)


def accepted_busy(results: Analysis) -> dict[str, int]:
    """Return what a machine also did while it was timed, as accepted → number of trials."""
    found: dict[str, int] = defaultdict(int)
    for _, one in _timed(results):
        for reason in one.validity.accepted:
            found[reason] += 1
    return dict(found)


def without_graphs(results: Analysis) -> dict[str, list[str]]:
    """Return arms that were to run as CUDA graphs: ``none`` of it did, or only a ``part``."""
    found: dict[str, dict[str, None]] = {"none": {}, "part": {}}
    for record, one in _timed(results):
        if one.cuda_graphs is None:
            continue
        label = _arm(results, record)
        if not one.cuda_graphs.recorded:
            found["none"][label] = None
        elif one.cuda_graphs.skipped:
            found["part"][label] = None
    return {how: [*labels] for how, labels in found.items() if labels}


def kinds_of_memory(results: Analysis) -> dict[str, list[str]]:
    """Return what peak memory means → the arms of which it does; nothing if it is one thing."""
    found: dict[PeakOf, dict[str, None]] = defaultdict(dict)
    for record, one in _timed(results):
        if one.peak_of is not None:
            found[one.peak_of][_arm(results, record)] = None
    if len(found) < 2:
        return {}
    return {_KINDS[kind]: [*labels] for kind, labels in found.items()}


def unknown_on_device(results: Analysis) -> dict[str, list[str]]:
    """Return why the device's own time is not known → the arms of which it is not."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for record, one in _timed(results):
        if one.busy_problem is not None:
            found[one.busy_problem][_arm(results, record)] = None
    return {why: [*labels] for why, labels in found.items()}


def _timed(results: Analysis) -> Iterator[tuple[Record, ThroughputResult]]:
    for record in results.records.values():
        if record.throughput is not None and record.status == DONE:
            yield record, record.throughput


def _arm(results: Analysis, record: Record) -> str:
    labels = {trial.key: trial.label for trial in results.plan.labelled()}
    return labels.get(record.key, record.label)
