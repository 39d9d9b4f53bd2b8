"""The training loop: epochs of steps, evaluations, and the choice of the final weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from bench.data.batches import Batches
from bench.training.checkpointing import Checkpointer
from bench.training.step import Step, TrainSettings, to_device

Evaluate = Callable[[nn.Module], Mapping[str, float | int | None]]
EpochRow = dict[str, Any]


class Diverged(Exception):
    """The training loss is infinite or NaN. The message names the epoch."""


@dataclass(frozen=True)
class Trained:
    """A finished training: a row for each epoch, and the epoch whose weights the model has.

    With ``patience`` there may be fewer epochs than the settings say.
    """

    history: list[EpochRow]
    epoch: int
    seconds: float  # of all epochs with their evaluations, also before an interruption


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
    """Train a model, (N, C, H, W) → logits, in place on its ``device``.

    It is evaluated every ``evaluate_every`` epochs and after the last. ``keep`` says which weights
    it has afterwards: those of the last epoch, or of the evaluated epoch with the largest
    ``mean_iou`` (the first of equals). ``is_over`` says when it ends. ``on_epoch`` is called with
    each row of the history.

    Raises:
        Diverged: if the mean loss of an epoch is not finite.
        Interrupted: if the checkpointer is asked to stop, at the end of an epoch.
    """
    checkpointer = checkpointer or Checkpointer()
    step = Step(model, settings, device=device, steps_per_epoch=len(batches))
    state = checkpointer.restore(model, step)
    for earlier in state.history:
        on_epoch(earlier)

    while not is_over(state.history, settings):
        epoch, started = len(state.history) + 1, time.perf_counter()
        row = _epoch(step, batches, epoch, device)
        if epoch % evaluate_every == 0 or epoch == settings.epochs:
            row["metrics"] = dict(evaluate(model))
        state.history.append(row)
        if keep == "best" and best_epoch(state.history) == epoch:
            state.best = row["metrics"]["mean_iou"], epoch, copy.deepcopy(model.state_dict())
        state.seconds += time.perf_counter() - started
        on_epoch(row)
        if not is_over(state.history, settings):
            checkpointer.save(state, model, step)

    if state.best is None:
        return Trained(state.history, len(state.history), state.seconds)
    model.load_state_dict(state.best[2])
    return Trained(state.history, state.best[1], state.seconds)


def is_over(history: Sequence[EpochRow], settings: TrainSettings) -> bool:
    """Tell whether a training ends after some epochs.

    It does after the last of its epochs, and where an evaluation finds that the best score is
    ``patience`` epochs old. That follows from the history alone, so that a training that was
    interrupted ends where it would have ended.
    """
    if len(history) >= settings.epochs:
        return True
    if settings.patience is None or not history or "metrics" not in history[-1]:
        return False
    return len(history) - best_epoch(history) >= settings.patience


def best_epoch(history: Sequence[EpochRow]) -> int:
    """Return the evaluated epoch with the largest ``mean_iou``, the first of equals; 0 if none."""
    scores = {row["epoch"]: row.get("metrics", {}).get("mean_iou") for row in history}
    defined = {epoch: score for epoch, score in scores.items() if score is not None}
    return max(defined, key=lambda epoch: defined[epoch], default=0)


def _epoch(step: Step, batches: Batches, epoch: int, device: torch.device) -> EpochRow:
    """Train for one epoch; return its row of the history."""
    started, learning_rate = time.perf_counter(), step.learning_rate
    step.model.train()
    total = torch.zeros((), device=device)  # summed on the device, so that no step waits for it
    for batch in batches.epoch(epoch):
        total += step(*to_device(batch, device, batches.normalisation))

    mean_loss = float(total) / len(batches)
    if not math.isfinite(mean_loss):
        raise Diverged(f"the training loss is {mean_loss} in epoch {epoch}")
    seconds = time.perf_counter() - started
    return {
        "epoch": epoch,
        "train_loss": mean_loss,
        "learning_rate": learning_rate,
        "seconds": seconds,
    }
