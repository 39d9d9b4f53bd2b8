"""An encoder, or weights of one, that no network of an experiment has."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UserError
from bench.training import models
from bench.training.models import ModelSettings

# Other settings that a network does not read, such as base_channels, belong to bases of sweeps.
_CHECKED = ("encoder_weights", "encoder")


def check_read(name: str, settings: Iterable[ModelSettings]) -> None:
    """Raise UserError if an encoder, or its weights, are chosen, and no arm's network reads them.

    That some arms do not read them is usual in a sweep over networks.
    """
    arms = list(dict.fromkeys(settings))
    read = frozenset[str]().union(*(models.architecture(one).reads for one in arms))
    for field in _CHECKED:
        default = ModelSettings.model_fields[field].default
        changed = [getattr(one, field) for one in arms if getattr(one, field) != default]
        if changed and field not in read:
            networks = ", ".join(dict.fromkeys(one.name for one in arms))
            raise UserError(
                f"{name}: model.{field}: {changed[0]!r} changes nothing, since no network of this "
                f"experiment ({networks}) reads it; smp_unet would"
            )
