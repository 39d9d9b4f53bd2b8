"""``segmentation_models_pytorch.Unet``, a baseline to compare with."""

from __future__ import annotations

from torch import nn

from bench.errors import UserError, nearest
from bench.training.models import Architecture, ModelSettings


def smp_unet(settings: ModelSettings) -> Architecture:
    """Return ``segmentation_models_pytorch.Unet``, a baseline to compare with."""

    def build(in_channels: int, num_classes: int) -> nn.Module:
        import segmentation_models_pytorch as smp

        network: nn.Module = smp.Unet(
            settings.encoder,
            encoder_weights=settings.encoder_weights,
            in_channels=in_channels,
            classes=num_classes,
        )
        return network

    def check() -> None:
        import segmentation_models_pytorch as smp  # seconds to import; only this network needs it

        known = smp.encoders.get_encoder_names()
        if settings.encoder not in known:
            hint = nearest(settings.encoder, known)
            raise UserError(f"model.encoder: unknown encoder {settings.encoder!r}{hint}")

    reads = frozenset({"encoder", "encoder_weights"})
    return Architecture(build, reads, size_multiple=32, check=check)
