"""Compare a timed pass with its roofline bound, as a whole and layer by layer."""

from __future__ import annotations

from typing import Any

import torch

from bench.data.dataset import Dataset
from bench.experiment.trial import TrialSettings
from bench.profiling import flops, peaks
from bench.profiling.peaks import Peaks
from bench.profiling.roofline import Cost

MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1}  # values that an optimiser keeps for each parameter
Row = dict[str, Any]
SLOWEST = 5  # layers that are named: those with the most time beyond their roofline bound


def of(
    settings: TrialSettings,
    dataset: Dataset,
    device: torch.device,
    measured: dict[str, float],
    milliseconds: float,
) -> tuple[dict[str, Any], list[Row]]:
    """Return the roofline bound of a pass, as keys of `ThroughputResult`, and a row for each layer.

    Nothing where there is no bound, as of the loader. The device's peak rates are measured now.
    ``measured`` are milliseconds of the forward pass by layer, where they are known, and
    ``milliseconds`` is what the whole pass took.
    """
    if settings.timing.work == "loader":
        return {}, []
    try:
        found = _costs(settings, dataset)
    except flops.Uncounted:
        return {}, []
    reached = peaks.measure(device, settings.train.precision)
    bound = sum(cost.bound_ms(reached) for cost in found)  # layers run one after another
    rows = _layer_rows(found, reached, measured)
    lost = [
        {"name": row["name"], "lost_ms": row["forward_ms"] - row["forward_roofline_ms"]}
        for row in rows
        if row["forward_ms"] is not None
    ]
    whole = {
        "roofline_ms": bound,
        "roofline_share": bound / milliseconds,
        "peaks": {"flops_per_second": reached.flops, "bytes_per_second": reached.bytes},
        "gflops": sum(cost.flops for cost in found) / 1e9,
        "slowest_layers": sorted(lost, key=lambda row: -row["lost_ms"])[:SLOWEST],
    }
    return whole, rows


def _costs(settings: TrialSettings, dataset: Dataset) -> list[Cost]:
    train, work = settings.train, settings.timing.work
    kept = MOMENTS[train.optimizer] if train.optimizer != "sgd" or train.momentum else 0
    return flops.costs(
        settings.model,
        dataset,
        batch_size=train.batch_size,
        side=settings.input_size,
        precision=train.precision,
        train=work != "forward",
        moments=kept if work == "train_step" else None,
    )


def _layer_rows(found: list[Cost], reached: Peaks, measured: dict[str, float]) -> list[Row]:
    """Return the bound and the measured time of each layer, in the order of the network."""
    rows: dict[str, Row] = {
        name: {"name": name, "kind": None, "gflops": 0.0, "megabytes": 0.0, "roofline_ms": 0.0}
        | {"forward_roofline_ms": 0.0, "forward_ms": measured.get(name)}
        for name in dict.fromkeys([*(cost.layer for cost in found), *measured])
    }
    for cost in found:
        row = rows[cost.layer]
        row["kind"] = row["kind"] or cost.kind
        row["gflops"] += cost.flops / 1e9
        row["megabytes"] += cost.bytes / 1e6
        row["roofline_ms"] += cost.bound_ms(reached)
        if cost.part == "forward":
            row["forward_roofline_ms"] += cost.bound_ms(reached)
    return list(rows.values())
