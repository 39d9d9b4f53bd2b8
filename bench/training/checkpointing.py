"""The state of a training that is not finished: kept at the end of epochs, brought back whole.

What a training is at the end of an epoch: weights, optimiser, schedule, loss scaler, every random
generator, the rows of its history, and the best weights so far. Crops need no state: they are
drawn from (seed, epoch, index). On a CPU an interrupted training ends at the same bits.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from bench.errors import UserError

EVERY = 60.0  # seconds from one time that the state is kept to the next

Best = tuple[float, int, dict[str, torch.Tensor]]  # score, epoch, weights


class Stateful(Protocol):
    """What changes with every step beside the model: ``bench.training.step.Step``."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


class Interrupted(Exception):
    """The training was asked to stop; its state is kept."""


@dataclass
class State:
    """How far a training has come, beside what the model and its step hold."""

    history: list[dict[str, Any]]
    best: Best | None = None
    seconds: float = 0.0  # that all epochs so far have taken, with their evaluations


class Checkpointer:
    """Keeps the state of one training somewhere, and says when it is to stop.

    Args:
        read: returns what was kept last; None if there is nothing.
        write: keeps bytes in the place of earlier ones; None to keep nothing.
        stop: is asked at the end of every epoch.
        every: seconds from one time to the next; asked to stop, the state is always kept.
    """

    def __init__(
        self,
        read: Callable[[], bytes | None] = lambda: None,
        write: Callable[[bytes], None] | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
        every: float = EVERY,
    ) -> None:
        self.read = read
        self.write = write
        self.stop = stop
        self.every = every
        self.last = time.monotonic()

    def restore(self, model: nn.Module, step: Stateful) -> State:
        """Bring model and step to where they were, if anything was kept; return how far that is.

        Raises:
            UserError: if what was kept is of another training.
        """
        content = self.read()
        self.last = time.monotonic()
        return State([]) if content is None else _restored(content, model, step)

    def keep(self, state: State, model: nn.Module, step: Stateful) -> None:
        """Keep the state at the end of an epoch, if it is time.

        Raises:
            Interrupted: if the training was asked to stop.
        """
        stop = self.stop()
        if self.write is not None and (stop or time.monotonic() - self.last >= self.every):
            self.write(_content(state, model, step))
            self.last = time.monotonic()
        if stop:
            raise Interrupted(f"stopped after epoch {len(state.history)}")


def _content(state: State, model: nn.Module, step: Stateful) -> bytes:
    score, epoch, weights = state.best or (None, None, None)
    buffer = io.BytesIO()
    torch.save(
        {
            "history": state.history,
            "best": {"score": score, "epoch": epoch, "weights": weights},
            "seconds": state.seconds,
            "model": model.state_dict(),
            "step": step.state_dict(),
            "random": _random_states(),
        },
        buffer,
    )
    return buffer.getvalue()


def _restored(content: bytes, model: nn.Module, step: Stateful) -> State:
    try:
        kept = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        model.load_state_dict(kept["model"])
        step.load_state_dict(kept["step"])
        best = kept["best"]
        state = State(kept["history"], None, kept["seconds"])
        if best["weights"] is not None:
            state.best = best["score"], best["epoch"], best["weights"]
        _set_random_states(kept["random"])
    except Exception as error:  # whatever torch finds that does not fit
        raise UserError(f"the state that was kept does not fit ({error})") from error
    return state


def _random_states() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_states(states: dict[str, Any]) -> None:
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numbers, *rest = states["numpy"]
    np.random.set_state((name, np.array(numbers, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if len(states["cuda"]) == torch.cuda.device_count():  # else it goes on elsewhere
        torch.cuda.set_rng_state_all(states["cuda"])
