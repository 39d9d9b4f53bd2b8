"""Losses by name: built, and their options checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from bench.components import options as component_options
from bench.components.names import find
from bench.data.dataset import IGNORE_INDEX
from bench.errors import UserError

WEIGHTS, BALANCED = "weights", "balanced"  # an option of cross-entropy, and what it may be
GIVEN = ("ignore_index",)  # arguments that are not the user's to choose


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Build a loss that maps logits (N, C, H, W) and int64 labels (N, H, W) to a scalar.

    One whose signature has ``ignore_index`` is given the label of void. UserError if a loss of the
    user's own cannot be imported.
    """
    function = find("loss", name).load()
    given = {"ignore_index": IGNORE_INDEX} if _takes_void(name) else {}
    made: nn.Module = function(**options, **given)
    return made


def check(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError if there is no such loss, or it takes no such option or value.

    Nothing of segmentation_models_pytorch is imported.
    """
    if options.get(WEIGHTS) == BALANCED and name == "ce":
        options = {**options, WEIGHTS: None}
    if isinstance(options.get(WEIGHTS), str) and name == "ce":
        wanted = f"{BALANCED}, or a number for each class, is wanted"
        raise ValueError(f"loss 'ce': {WEIGHTS}: {wanted} (got {options[WEIGHTS]!r})")
    component_options.check("loss", name, options, GIVEN)
    # Those of the library are quickly built, and check their own arguments then.
    if options and find("loss", name).module.startswith("unet."):
        try:
            build(name, options)
        except ValueError as error:
            raise ValueError(f"loss {name!r}: {error}") from error


def check_classes(name: str, options: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Raise UserError if weights of classes are not one for each class."""
    weights = options.get(WEIGHTS)
    if name == "ce" and isinstance(weights, list) and len(weights) != len(classes):
        raise UserError(
            f"train.loss_options.weights: {len(weights)} for {len(classes)} classes "
            f"({', '.join(classes)})"
        )


def with_weights(name: str, options: Mapping[str, Any], pixels: Sequence[int]) -> dict[str, Any]:
    """Return options in which balanced weights are numbers, given how many pixels classes have.

    The weight of a class is n / (C · n_c), for n_c of n pixels and C classes that occur, as
    scikit-learn's ``class_weight="balanced"``; 0 for a class without a pixel.
    """
    if name != "ce" or options.get(WEIGHTS) != BALANCED:
        return dict(options)
    present = sum(count > 0 for count in pixels)
    weights = [sum(pixels) / (present * count) if count else 0.0 for count in pixels]
    return {**options, WEIGHTS: weights}


def takes_weights(name: str) -> bool:
    """Tell whether a loss takes a weight for each pixel as a third argument, (N, H, W)."""
    return bool(getattr(find("loss", name).load(), "pixel_weights", False))


def _takes_void(name: str) -> bool:
    return "ignore_index" in inspect.signature(find("loss", name).load()).parameters
