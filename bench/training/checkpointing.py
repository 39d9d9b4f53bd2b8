"""Save and restore the state of an unfinished training, so that an interrupted one can resume.

Saved at the end of an epoch are weights, optimiser, schedule, loss scaler, every random generator,
the history, and the best weights so far. Crops need no state: they are drawn from (seed, epoch,
index). On a CPU a resumed training ends with the same bits.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.errors import UserError
from bench.training.step import Step

EVERY = 60.0  # seconds between two saved states

Best = tuple[float, int, dict[str, torch.Tensor]]  # score, epoch, weights


class Interrupted(Exception):
    """The training was asked to stop; its state is saved."""


@dataclass
class State:
    """Progress of a training, beside the state of the model and its step."""

    history: list[dict[str, Any]]
    best: Best | None = None
    seconds: float = 0.0  # of all epochs so far, with their evaluations


@dataclass
class Checkpointer:
    """Saves the state of one training, and stops the training when asked to."""

    read: Callable[[], bytes | None] = lambda: None  # the bytes saved last; None if there are none
    write: Callable[[bytes], None] | None = None  # in place of earlier bytes; None saves nothing
    _: KW_ONLY
    stop: Callable[[], bool] = lambda: False  # tells at the end of every epoch whether to stop
    every: float = EVERY  # seconds between saved states; before a stop, the state is always saved
    last: float = field(default_factory=time.monotonic)  # when it was last read or saved, seconds

    def restore(self, model: nn.Module, step: Step) -> State:
        """Restore model and step, if a state was saved, and return the progress so far.

        UserError if the saved state is of another training.
        """
        content = self.read()
        self.last = time.monotonic()
        return State([]) if content is None else _restored(content, model, step)

    def save(self, state: State, model: nn.Module, step: Step) -> None:
        """Save the state at the end of an epoch, if ``every`` seconds have passed.

        Raises ``Interrupted`` if the training was asked to stop.
        """
        stop = self.stop()
        if self.write is not None and (stop or time.monotonic() - self.last >= self.every):
            self.write(_content(state, model, step))
            self.last = time.monotonic()
        if stop:
            raise Interrupted(f"stopped after epoch {len(state.history)}")


def _content(state: State, model: nn.Module, step: Step) -> bytes:
    buffer = io.BytesIO()
    parts = {"model": model.state_dict(), "step": step.state_dict()}
    torch.save({"progress": vars(state), **parts, "random": _random_states(model)}, buffer)
    return buffer.getvalue()


def _restored(content: bytes, model: nn.Module, step: Step) -> State:
    try:
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
        step.load_state_dict(saved["step"])
        state = State(**saved["progress"])
        _set_random_states(saved["random"], model)
    except Exception as error:  # torch raises many kinds for what does not fit
        raise UserError(f"the saved state does not fit this training ({error})") from error
    return state


def _random_states(model: nn.Module) -> dict[str, Any]:
    """Return the state of every generator that a training draws from.

    Of a machine's GPUs only that of the model: those of others are neither used nor there when the
    training goes on elsewhere, perhaps on a GPU of another number.
    """
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state(),
        "device": None if (gpu := _gpu(model)) is None else torch.cuda.get_rng_state(gpu),
    }


def _gpu(model: nn.Module) -> torch.device | None:
    device = next(model.parameters()).device
    return device if device.type == "cuda" else None


def _set_random_states(states: dict[str, Any], model: nn.Module) -> None:
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numbers, *rest = states["numpy"]
    np.random.set_state((name, np.array(numbers, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    gpu = _gpu(model)
    if gpu is not None and states["device"] is not None:  # else it began on another kind of device
        torch.cuda.set_rng_state(states["device"], gpu)
