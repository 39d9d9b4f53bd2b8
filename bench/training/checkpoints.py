"""Read and write files of weights; reading one never executes code from it.

Pickles can contain programs. Of PyTorch's files only tensors and plain containers are read, by its
restricted unpickler. ``evaluate.checkpoint`` stores safetensors, which can contain nothing else.
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

from bench import plain_files
from bench.errors import UserError
from bench.training.weights import Weights
from unet.blocks import Padding
from unet.checkpoints import from_state_dict
from unet.model import UNet

_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_MASK_VALUES = "mask_values"  # as the milesial family calls it
_SLACK = 1 << 20  # bytes by which an uncompressed archive's contents may exceed its size


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint file by name, on the CPU.

    ``mask_values`` are the grey value or colour of each class in masks, which files of the
    milesial family contain; None in other files.
    """

    weights: Weights
    mask_values: list[Any] | None = None


def load(path: Path) -> Checkpoint:
    """Read a safetensors file, or a state dict that ``torch.save`` wrote.

    The latter may be under ``state_dict``, ``model_state_dict`` or ``model``. The content tells the
    format, not the name. UserError if the file is missing or damaged, contains no weights, or could
    execute code.
    """
    plain_files.check(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
        # Safetensors start with eight bytes of length, then JSON; no pickle does.
        holder = _safetensors(path) if start[8:] == b"{" else _holder(_unpickled(path), path)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # decoders raise many kinds for damaged bytes
        # Only its first sentence, since torch goes on with advice to trust the file.
        text = " ".join(str(error).split()) or type(error).__name__
        why = text.partition(". ")[0][:200]
        raise UserError(f"{path}: no checkpoint that can be trusted ({why})") from error
    named = {name: value for name, value in holder.items() if isinstance(name, str)}
    weights = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    if not weights:
        raise UserError(f"{path}: contains no weights by name")
    return Checkpoint(weights, _mask_values(holder.get(_MASK_VALUES)))


def build_unet(checkpoint: Checkpoint, *, padding: Padding, source: object) -> UNet:
    """Build the U-Net of the weights; a UserError names ``source`` and what does not fit."""
    try:
        return from_state_dict(checkpoint.weights, padding=padding)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error


def encode(checkpoint: Checkpoint, path: Path) -> bytes:
    """Return the bytes of a checkpoint in the format that the suffix of ``path`` names.

    ``.safetensors``, or ``.pt`` and ``.pth``: a state dict that ``torch.load`` reads with
    ``weights_only=True``, with ``mask_values`` in it if there are any. Others are a UserError.
    """
    weights = {name: value.contiguous() for name, value in checkpoint.weights.items()}
    values = checkpoint.mask_values
    if path.suffix == ".safetensors":
        metadata = {} if values is None else {_MASK_VALUES: json.dumps(values)}
        return bytes(safetensors.torch.save(weights, metadata or None))
    if path.suffix not in (".pt", ".pth"):
        raise UserError(f"{path}: its name must end in .safetensors, .pth or .pt")
    file = io.BytesIO()
    torch.save(weights if values is None else {**weights, _MASK_VALUES: values}, file)
    return file.getvalue()


def _unpickled(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > path.stat().st_size + _SLACK:
            raise UserError(f"{path}: refused, because it is compressed, which no checkpoint is")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the format of old files
        return torch.load(path, map_location="cpu", weights_only=True)


def _safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a file, and the mask values that `encode` stores as metadata."""
    with safetensors.safe_open(path, framework="pt") as file:
        values = (file.metadata() or {}).get(_MASK_VALUES, "null")
    return {**safetensors.torch.load_file(path), _MASK_VALUES: json.loads(values)}


def _holder(found: Any, path: Path) -> Mapping[Any, Any]:
    """Return the mapping that contains the weights, which may be nested; else an empty one."""
    passed = []
    while isinstance(found, Mapping):
        nested = [name for name in _NESTED if isinstance(found.get(name), Mapping)]
        if not nested:
            return found
        passed.append(id(found))
        found = found[nested[0]]
        if id(found) in passed:
            raise UserError(f"{path}: {nested[0]!r} in it contains itself")
    return {}


def _mask_values(found: Any) -> list[Any] | None:
    """Return grey values, or colours, if that is what was found."""
    if not isinstance(found, list) or not found:
        return None
    rows = found if isinstance(found[0], list) else [found]
    flat = [value for row in rows if isinstance(row, list) for value in row]
    numbers = all(isinstance(value, int | float) for value in flat)
    return found if numbers and all(isinstance(row, list) for row in rows) else None
