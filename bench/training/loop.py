"""The training loop: epochs of steps, evaluated and kept as the trial asks."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from bench.data.batches import Batches
from bench.training.checkpointing import Checkpointer
from bench.training.step import Step, TrainSettings, copied

Evaluate = Callable[[nn.Module], Mapping[str, float | int | None]]
EpochRow = dict[str, Any]


class Diverged(Exception):
    """The loss is no number any more. The message says in which epoch."""


@dataclass(frozen=True)
class Trained:
    """What training leaves: a row an epoch, and the epoch whose weights the model holds.

    ``seconds`` is what all epochs took, with their evaluations, also those before an interruption.
    """

    history: list[EpochRow]
    epoch: int
    seconds: float


def train(
    model: nn.Module,
    batches: Batches,
    settings: TrainSettings,
    *,
    device: torch.device,
    evaluate: Evaluate,
    evaluate_every: int = 1,
    keep: Literal["last", "best"] = "last",
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
    checkpointer: Checkpointer | None = None,
) -> Trained:
    """Train a model in place.

    Args:
        model: maps (N, C, H, W) in [-1, 1] to logits; it is on ``device``.
        batches: crops for every epoch.
        settings: loss, optimiser, schedule, precision.
        device: where to compute.
        evaluate: scores the model; called every ``evaluate_every`` epochs and after the last.
        evaluate_every: epochs from one evaluation to the next.
        keep: leave the weights of the last epoch in the model, or those of the evaluated
            epoch with the largest ``mean_iou`` (the first of equals).
        on_epoch: called with each row of the history when it is made.
        checkpointer: brings back an interrupted training, and keeps the state of this one.

    Raises:
        Diverged: if the loss of an epoch is not finite.
        Interrupted: if the checkpointer says so, at the end of an epoch.
    """
    checkpointer = checkpointer or Checkpointer()
    step = Step(model, settings, device=device, steps_per_epoch=len(batches))
    state = checkpointer.restore(model, step)
    for earlier in state.history:
        on_epoch(earlier)

    for epoch in range(len(state.history) + 1, settings.epochs + 1):
        started = time.perf_counter()
        rate = step.rate
        total = torch.zeros((), device=device)  # summed on the device: no wait in every step
        model.train()
        for batch in batches.epoch(epoch):
            total += step(*copied(batch, device))

        mean_loss = float(total) / len(batches)
        if not math.isfinite(mean_loss):
            raise Diverged(f"the training loss is {mean_loss} in epoch {epoch}")
        row: EpochRow = {"epoch": epoch, "train_loss": mean_loss, "learning_rate": rate}
        row["seconds"] = time.perf_counter() - started
        if epoch % evaluate_every == 0 or epoch == settings.epochs:
            row["metrics"] = scores = dict(evaluate(model))
            value = scores.get("mean_iou")
            best = state.best
            if keep == "best" and value is not None and (best is None or value > best[0]):
                state.best = value, epoch, copy.deepcopy(model.state_dict())
        state.history.append(row)
        state.seconds += time.perf_counter() - started
        on_epoch(row)
        if epoch < settings.epochs:
            checkpointer.keep(state, model, step)

    if state.best is None:
        return Trained(state.history, settings.epochs, state.seconds)
    model.load_state_dict(state.best[2])
    return Trained(state.history, state.best[1], state.seconds)
