"""What an experiment took: time, device and memory, by arm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.frame import Results, spoken
from bench.report.cells import Table, seconds, table, whole

_GIB = 2**30


def cost_table(results: Results) -> Table:
    """Return a row for each arm with a measured trial: runs, time, memory where it was recorded."""
    measured = results.trials.dropna(subset=["seconds"])
    times = [name for name in ("seconds", "training_seconds") if name in measured]
    peaks = {key: record.result.get("memory") or {} for key, record in results.records.items()}
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
        *(f"{spoken(name)} a run" for name in times),
        "seconds in all",
        *(f"peak {kind.removesuffix('_bytes')} memory, GiB" for kind in kinds),
        *("parameters", "device"),
    ]
    return table(columns, rows)


def _device(environment: Any) -> str:
    name, kind = environment.get("device_name"), environment.get("device")
    threads = environment.get("threads")
    cores = f", {threads} threads" if kind == "cpu" and threads else ""
    return f"{name or kind or '–'}{cores}"


def _gibibytes(found: Iterable[float | None]) -> str:
    peaks = [value for value in found if value is not None]
    return f"{max(peaks) / _GIB:.2f}" if peaks else "–"
