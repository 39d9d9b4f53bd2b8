"""What an experiment took, by arm: time, memory and device; and what its networks compute."""

from __future__ import annotations

import pandas as pd

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.numbers import fixed, seconds, three_digits, whole
from bench.report.content.table import Column, Table, picked, table
from bench.store.records import Record

_PARAMETERS = Column("parameters", "parameters", "number", whole)
_FLOPS = {
    "step_gflops": "GFLOPs per step",
    "step_pixels": "pixels per step",
    "gflops_per_megapixel": "GFLOPs per predicted megapixel",
    "window_gflops_per_megapixel": "GFLOPs per megapixel, window moved over every pixel",
}


def cost_table(results: Analysis) -> Table:
    """Return a row for each arm with a measured trial: runs, time, memory where it was recorded."""
    records = results.records
    memory = pd.DataFrame([_peaks(record) for record in records.values()], index=list(records))
    measured = results.trials.dropna(subset=["seconds"]).join(memory, on="key")
    devices = measured["key"].map({key: _device(record) for key, record in records.items()})
    named = [", ".join(own.unique()) for _, own in devices.groupby(measured["arm"], sort=False)]
    by_arm = measured.groupby("arm", sort=False)
    times = [name for name in ("seconds", "training_seconds") if name in measured]
    parameters = [_PARAMETERS] if "parameters" in measured else []
    return table(
        (Column("arm", "arm"), by_arm.size().index),
        (Column("runs", "runs", "number", whole), by_arm.size()),
        *(
            (_seconds(name, f"{metrics.label(name)} per run"), by_arm[name].mean())
            for name in times
        ),
        (_seconds("total", "seconds in total"), by_arm["seconds"].sum()),
        *((_gigabytes(kind), by_arm[kind].max()) for kind in map(str, memory)),
        *((column, by_arm["parameters"].max()) for column in parameters),
        (Column("device", "device"), named),
    )


def flops_table(results: Analysis) -> Table:
    """Return a row for each arm with a measured trial: what its network computes."""
    known = [name for name in _FLOPS if name in results.trials]
    if not known:
        return Table()
    first = results.done.groupby("arm", sort=False, as_index=False).first()
    flops = (Column(name, _FLOPS[name], "number", three_digits) for name in known)
    return table(*picked(first, Column("arm", "arm"), _PARAMETERS, *flops))


def _seconds(name: str, label: str) -> Column:
    return Column(name, label, "number", seconds)


def _gigabytes(kind: str) -> Column:
    return Column(kind, f"peak {kind} memory", "number", fixed(2), "GB")


def _peaks(record: Record) -> dict[str, float]:
    """Return the peaks of memory by kind in GB of 10⁹ bytes, where any were recorded."""
    memory = record.result.memory if record.result is not None else None
    found = {} if memory is None else memory.model_dump(exclude_none=True)
    return {kind.removesuffix("_bytes"): size / 1e9 for kind, size in found.items()}


def _device(record: Record) -> str:
    name, kind, threads = map(record.environment.get, ("device_name", "device", "threads"))
    cores = f", {threads} threads" if kind == "cpu" and threads else ""
    return f"{name or kind or '–'}{cores}"
