"""Weights from files that anybody may have made: tensors are read, nothing is executed.

Pickles can hold programs. Of PyTorch's files only tensors and plain containers are taken, by its
restricted unpickler; safetensors, which cannot hold anything else, are preferred and are what
``evaluate.checkpoint`` stores.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from bench.errors import UserError, nearest

Weights = dict[str, torch.Tensor]

_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_ROOM = 1 << 20  # bytes that an honest archive may hold beyond its own size


def read(path: Path) -> Weights:
    """Return the tensors of a checkpoint by name, on the CPU.

    Args:
        path: of a safetensors file, or of a state dict that ``torch.save`` wrote, alone or under
            ``state_dict``, ``model_state_dict`` or ``model``. What is beside tensors is left out.
            The kind is told by the content, not by the name.

    Raises:
        UserError: if the file is missing or damaged, or holds no weights, or more than weights.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start[8:] == b"{":  # eight bytes of length, then JSON: no pickle begins like that
            return dict(safetensors.torch.load_file(path))
        found = _unpickled(path)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # damaged bytes make a decoder stumble in any way it likes
        raise UserError(f"{path}: no checkpoint that can be trusted ({_first(error)})") from error
    weights = _tensors(found)
    if not weights:
        raise UserError(f"{path}: holds no weights by name")
    return weights


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


def _tensors(found: Any) -> Weights:
    """Return the tensors of a mapping, or of the first known mapping in it."""
    if not isinstance(found, Mapping):
        return {}
    for name in _NESTED:
        if isinstance(found.get(name), Mapping):
            return _tensors(found[name])
    return {
        name: value
        for name, value in found.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }


def _first(error: Exception) -> str:
    """Return the first sentence of an error; torch's go on with advice to trust the file."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0][:200]
