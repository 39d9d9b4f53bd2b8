"""How far a timed pass is from what its device can do at best, as a whole and layer by layer."""

from __future__ import annotations

from typing import Any

import torch

from bench.data.dataset import Dataset
from bench.experiment.trial import TrialSettings
from bench.profiling import flops, peaks, roofline
from bench.profiling.peaks import Ceilings
from bench.profiling.roofline import Cost

MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1}  # values that an optimiser keeps for each parameter
FARTHEST = 5  # layers named that lose the most time against their floor


def of(
    settings: TrialSettings,
    dataset: Dataset,
    device: torch.device,
    measured: dict[str, float],
    milliseconds: float,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return how long the pass must take at least on a device, and a row for each layer.

    Args:
        settings: of the trial.
        dataset: whose channels and classes count.
        device: whose ceilings are measured now.
        measured: layer → milliseconds of its forward pass, where they are known.
        milliseconds: what the pass took.
    """
    if settings.timing.work == "loader":
        return {}, []
    found = _costs(settings, dataset)
    reached = peaks.measure(device, settings.train.precision)
    floor = roofline.floor_ms(found, reached)
    rows = _layer_rows(found, reached, measured)
    limits = {
        "roofline_ms": floor,
        "roofline_share": floor / milliseconds,
        "peaks": {"flops_per_second": reached.flops, "bytes_per_second": reached.bytes},
        "gflops": sum(cost.flops for cost in found) / 1e9,
        "slowest_layers": _farthest(rows),
    }
    return limits, rows


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


def _layer_rows(
    found: list[Cost], reached: Ceilings, measured: dict[str, float]
) -> list[dict[str, Any]]:
    """Return the floor of each layer, and how long its forward pass took, in the net's order."""
    rows: dict[str, dict[str, Any]] = {
        name: {"name": name, "kind": None, "gflops": 0.0, "megabytes": 0.0, "roofline_ms": 0.0}
        | {"forward_roofline_ms": 0.0, "forward_ms": measured.get(name)}
        for name in dict.fromkeys([*(cost.layer for cost in found), *measured])
    }
    for cost in found:
        row = rows[cost.layer]
        row["kind"] = row["kind"] or cost.kind
        row["gflops"] += cost.flops / 1e9
        row["megabytes"] += cost.bytes / 1e6
        row["roofline_ms"] += cost.floor_ms(reached)
        if cost.part == "forward":
            row["forward_roofline_ms"] += cost.floor_ms(reached)
    return list(rows.values())


def _farthest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the layers whose forward pass takes the most time beyond its floor."""
    lost = [
        {"name": row["name"], "lost_ms": row["forward_ms"] - row["forward_roofline_ms"]}
        for row in rows
        if row["forward_ms"] is not None
    ]
    return sorted(lost, key=lambda row: -row["lost_ms"])[:FARTHEST]
