"""What an experiment took, by arm: time, device and memory; and what its networks compute."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.cells import Table, seconds, table, whole
from bench.store.records import Record

_GIB = 2**30
_ARITHMETIC = {
    "step_gflops": "GFLOP a step",
    "step_pixels": "pixels a step",
    "gflops_per_megapixel": "GFLOP a predicted megapixel",
    "window_gflops_per_megapixel": "moved over every pixel",
}


def cost_table(results: Analysis) -> Table:
    """Return a row for each arm with a measured trial: runs, time, memory where it was recorded."""
    measured = results.trials.dropna(subset=["seconds"])
    times = [name for name in ("seconds", "training_seconds") if name in measured]
    peaks = {key: _peaks(record) for key, record in results.records.items()}
    kinds = dict.fromkeys(kind for own in peaks.values() for kind in own if own[kind] is not None)
    devices = {record.key: _device(record.environment) for record in results.records.values()}
    rows = []
    for arm, group in measured.groupby("arm", sort=False):
        found: list[Any] = [group[name] for name in times]
        rows.append(
            (
                str(arm),
                str(len(group)),
                *(seconds(float(values.mean())) for values in found),
                seconds(float(found[0].sum())),
                *(_gibibytes(peaks[key].get(kind) for key in group["key"]) for kind in kinds),
                whole(group["parameters"].max()) if "parameters" in group else "–",
                ", ".join(dict.fromkeys(devices[key] for key in group["key"])),
            )
        )
    columns = [
        *("arm", "runs"),
        *(f"{metrics.label(name)} a run" for name in times),
        "seconds in all",
        *(f"peak {kind.removesuffix('_bytes')} memory, GiB" for kind in kinds),
        *("parameters", "device"),
    ]
    return table(columns, rows)


def arithmetic_table(results: Analysis) -> Table:
    """Return a row for each arm with a measured trial: what its network computes."""
    known = {name: spelt for name, spelt in _ARITHMETIC.items() if name in results.trials}
    if not known:
        return table(["arm"], [])
    first = results.done.groupby("arm", sort=False)[["parameters", *known]].first()
    rows = [
        (str(arm), whole(parameters), *(_rounded(value) for value in values))
        for arm, parameters, *values in first.itertuples()
    ]
    return table(["arm", "parameters", *known.values()], rows)


def _peaks(record: Record) -> dict[str, int | None]:
    """Return the peaks of memory by kind, where any were recorded."""
    memory = record.result.memory if record.result is not None else None
    return memory.model_dump() if memory is not None else {}


def _rounded(value: Any) -> str:
    """Return an amount with three digits, or all before the point."""
    if pd.isna(value):
        return "–"
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{digits}f}"


def _device(environment: Any) -> str:
    name, kind = environment.get("device_name"), environment.get("device")
    threads = environment.get("threads")
    cores = f", {threads} threads" if kind == "cpu" and threads else ""
    return f"{name or kind or '–'}{cores}"


def _gibibytes(found: Iterable[float | None]) -> str:
    peaks = [value for value in found if value is not None]
    return f"{max(peaks) / _GIB:.2f}" if peaks else "–"
