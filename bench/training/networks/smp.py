"""``segmentation_models_pytorch.Unet``, a baseline to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from bench.errors import UserError, nearest
from bench.training import checkpoints
from bench.training.models import Architecture, ModelSettings
from bench.training.weights import load_into

_HEADS = ("fc", "classifier", "head", "last_linear", "_fc")  # of classifiers, which are left out
_PART = "encoder."  # before the names of an encoder's weights, in a whole network's
_COUNTER = "num_batches_tracked"  # older files lack it, and nothing is computed with it


def smp_unet(settings: ModelSettings) -> Architecture:
    """Return ``segmentation_models_pytorch.Unet``, a baseline to compare with."""
    file = settings.encoder_file

    def build(in_channels: int, num_classes: int) -> nn.Module:
        import segmentation_models_pytorch as smp

        kept = in_channels if file is None else _first_channels(_weights(settings), in_channels)
        network: Any = smp.Unet(
            settings.encoder,
            encoder_weights=None if file else settings.encoder_weights,
            in_channels=kept,
            classes=num_classes,
        )
        if file is not None:
            _load(network.encoder, _weights(settings), file)
            if kept != in_channels:
                network.encoder.set_in_channels(in_channels, pretrained=True)
        found: nn.Module = network
        return found

    def check(in_channels: int) -> None:
        _check_names(settings)
        if file is not None:
            build(in_channels, 2)

    def fetch() -> None:
        if file is None and settings.encoder_weights is not None:
            _download(settings.encoder, settings.encoder_weights)

    reads = frozenset({"encoder", "encoder_weights"})
    return Architecture(build, reads, size_multiple=32, check=check, fetch=fetch)


def _check_names(settings: ModelSettings) -> None:
    """Raise UserError if the encoder, or its pretrained weights, have no such name."""
    import segmentation_models_pytorch as smp  # seconds to import; only this network needs it

    encoder, weights = settings.encoder, settings.encoder_weights
    known = smp.encoders.get_encoder_names()
    if encoder not in known:
        raise UserError(f"model.encoder: unknown encoder {encoder!r}{nearest(encoder, known)}")
    there = smp.encoders.encoders[encoder]["pretrained_settings"]
    if weights is not None and settings.encoder_file is None and weights not in there:
        hint = nearest(weights, there) if there else "; there are none"
        raise UserError(
            f"model.encoder_weights: no weights {weights!r} of {encoder}{hint}; "
            "a file is named as ./weights.pth"
        )


def _download(encoder: str, weights: str) -> None:
    """Fetch pretrained weights, or find them in the cache of huggingface_hub."""
    import huggingface_hub
    import segmentation_models_pytorch as smp

    source = smp.encoders.encoders[encoder]["pretrained_settings"][weights]
    repository, revision = source["repo_id"], source["revision"]
    try:
        for name in ("config.json", "model.safetensors"):
            huggingface_hub.hf_hub_download(repository, name, revision=revision)
    except Exception as error:  # of requests, httpx, the hub, or the disk
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"model.encoder_weights: {weights} of {encoder} ({repository}) cannot be downloaded "
            f"({reason}); where there is no network, download the file elsewhere and name it "
            "as ./model.safetensors"
        ) from error


def _weights(settings: ModelSettings) -> dict[str, Tensor]:
    """Return the weights in a file that are an encoder's, by the encoder's own names."""
    found = checkpoints.load(settings.encoder_file).weights if settings.encoder_file else {}
    part = {name.removeprefix(_PART): found[name] for name in found if name.startswith(_PART)}
    return part or {name: found[name] for name in found if name.split(".")[0] not in _HEADS}


def _first_channels(weights: Mapping[str, Tensor], in_channels: int) -> int:
    """Return with how many channels to build an encoder: the images', or RGB that is adapted."""
    first = next((value.shape[1] for value in weights.values() if value.ndim == 4), in_channels)
    return 3 if first == 3 else in_channels


def _load(encoder: nn.Module, weights: Mapping[str, Tensor], file: object) -> None:
    own = encoder.state_dict()
    counters = {name: own[name] for name in own if name.endswith(_COUNTER) and name not in weights}
    load_into(encoder, {**weights, **counters}, source=file)
