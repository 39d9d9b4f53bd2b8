"""Weights from files that anybody may have made: tensors are read, nothing is executed.

Pickles can hold programs. Of PyTorch's files only tensors and plain containers are taken, by its
restricted unpickler; safetensors, which cannot hold anything else, are preferred and are what
``evaluate.checkpoint`` stores.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from bench.errors import UserError, nearest
from unet.checkpoints import from_state_dict
from unet.model import Padding, UNet

Weights = dict[str, torch.Tensor]

_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_MASK_VALUES = "mask_values"  # the name that the milesial family gives it
_ROOM = 1 << 20  # bytes that an honest archive may hold beyond its own size


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        weights: the tensors by name, on the CPU.
        mask_values: what stands for each class in masks, a grey value or a colour, as files of the
            milesial family say it; None where nothing is said.
    """

    weights: Weights
    mask_values: list[Any] | None = None


def load(path: Path) -> Checkpoint:
    """Return what a checkpoint holds.

    Args:
        path: of a safetensors file, or of a state dict that ``torch.save`` wrote, alone or under
            ``state_dict``, ``model_state_dict`` or ``model``. What else is beside tensors is left
            out. The kind is told by the content, not by the name.

    Raises:
        UserError: if the file is missing or damaged, or holds no weights, or more than weights.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        # Eight bytes of length, then JSON: no pickle begins like that.
        found = _safetensors(path) if start[8:] == b"{" else _unpickled(path)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # damaged bytes make a decoder stumble in any way it likes
        raise UserError(f"{path}: no checkpoint that can be trusted ({_first(error)})") from error
    holder = _holder(found)
    weights = {
        name: value
        for name, value in holder.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if not weights:
        raise UserError(f"{path}: holds no weights by name")
    return Checkpoint(weights, _mask_values(holder.get(_MASK_VALUES)))


def read(path: Path) -> Weights:
    """Return the tensors of a checkpoint by name, on the CPU; see `load`."""
    return load(path).weights


def build_unet(checkpoint: Checkpoint, *, padding: Padding, source: object) -> UNet:
    """Build the U-Net that weights are of; see `from_state_dict`.

    Raises:
        UserError: naming ``source`` and the first tensor that is not as it has to be.
    """
    try:
        return from_state_dict(checkpoint.weights, padding=padding)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error


def encode(checkpoint: Checkpoint, path: Path) -> bytes:
    """Return the bytes of a checkpoint in the format that the name of a file asks for.

    ``.safetensors`` is the safe one; ``.pt`` and ``.pth`` are a state dict that ``torch.load``
    takes with ``weights_only=True``, with ``mask_values`` in it if there are any.

    Raises:
        UserError: if the name asks for none of them.
    """
    weights = {name: value.contiguous() for name, value in checkpoint.weights.items()}
    values = checkpoint.mask_values
    if path.suffix == ".safetensors":
        metadata = {} if values is None else {_MASK_VALUES: json.dumps(values)}
        return bytes(safetensors.torch.save(weights, metadata or None))
    if path.suffix not in (".pt", ".pth"):
        raise UserError(f"{path}: its name has to end in .safetensors, .pth or .pt")
    file = io.BytesIO()
    torch.save(weights if values is None else {**weights, _MASK_VALUES: values}, file)
    return file.getvalue()


def load_into(model: nn.Module, weights: Mapping[str, torch.Tensor], *, source: object) -> None:
    """Put weights into a model of the same names and shapes.

    Raises:
        UserError: naming ``source`` and the first tensor that is missing, unknown or of another
            shape; the model is then as it was.
    """
    own = model.state_dict()
    for name in own:
        if name not in weights:
            raise UserError(f"{source}: has no {name!r}{nearest(name, weights)}")
    for name, value in weights.items():
        if name not in own:
            raise UserError(f"{source}: {name!r} is no weight of this model{nearest(name, own)}")
        if value.shape != own[name].shape:
            shapes = f"{tuple(value.shape)}, this model's {tuple(own[name].shape)}"
            raise UserError(f"{source}: {name!r} has the shape {shapes}")
    model.load_state_dict(dict(weights))


def _unpickled(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > path.stat().st_size + _ROOM:
            raise UserError(f"{path}: refused, it is compressed, which no checkpoint is")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what old files looked like
        return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a file, and the mask values that `encode` put beside them."""
    with safetensors.safe_open(path, framework="pt") as file:
        values = (file.metadata() or {}).get(_MASK_VALUES, "null")
    return {**safetensors.torch.load_file(path), _MASK_VALUES: json.loads(values)}


def _holder(found: Any) -> Mapping[Any, Any]:
    """Return a mapping, or the first known mapping in it; else nothing."""
    if not isinstance(found, Mapping):
        return {}
    for name in _NESTED:
        if isinstance(found.get(name), Mapping):
            return _holder(found[name])
    return found


def _mask_values(found: Any) -> list[Any] | None:
    """Return grey values, or colours, if that is what was found."""
    if not isinstance(found, list) or not found:
        return None
    rows = found if isinstance(found[0], list) else [found]
    flat = [value for row in rows if isinstance(row, list) for value in row]
    numbers = all(isinstance(value, int | float) for value in flat)
    return found if numbers and all(isinstance(row, list) for row in rows) else None


def _first(error: Exception) -> str:
    """Return the first sentence of an error; torch's go on with advice to trust the file."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0][:200]
