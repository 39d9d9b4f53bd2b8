"""Our own losses, networks, augmentations and datasets: name → ``module:attribute``.

To add one makes no stored trial stale: the code digest of a trial covers the modules of what it
uses, and not this one. Datasets are the modules of ``bench/data/datasets``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from pathlib import Path

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "loss": {
        "ce": "unet.losses.cross_entropy:CrossEntropyLoss",
        "weighted_ce": "unet.losses.pixel_weighted:PixelWeightedCrossEntropyLoss",
        "dice": "unet.losses.dice:DiceLoss",
        "dice_image": "unet.losses.dice_image:DiceImageLoss",
        "dice_present": "unet.losses.dice_present:DicePresentLoss",
        "dice_pooled": "unet.losses.dice_pooled:DicePooledLoss",
        "dice+ce": "unet.losses.dice_ce:DiceCELoss",
        "smp:jaccard": "bench.training.smp_losses:jaccard",
        "smp:lovasz": "bench.training.smp_losses:lovasz",
        "smp:focal": "bench.training.smp_losses:focal",
        "smp:tversky": "bench.training.smp_losses:tversky",
    },
    "network": {
        "unet": "bench.training.networks.unet:unet",
        "unet_paper": "bench.training.networks.unet:unet_paper",
        "sliding_window": "bench.training.networks.sliding_window:sliding_window",
        "fcn_resnet50": "bench.training.networks.torchvision:fcn_resnet50",
        "deeplabv3_resnet50": "bench.training.networks.torchvision:deeplabv3_resnet50",
        "smp_unet": "bench.training.networks.smp:smp_unet",
    },
    "augmentation": {
        "none": "bench.data.augmentations.rigid:none",
        "flip": "bench.data.augmentations.rigid:flip",
        "geometric": "bench.data.augmentations.rigid:geometric",
        "elastic": "bench.data.augmentations.elastic:elastic",
        "paper": "bench.data.augmentations.elastic:paper",
        "paper_rigid": "bench.data.augmentations.rigid:paper_rigid",
    },
    "dataset": {
        module.name: f"bench.data.datasets.{module.name}:load"
        for module in pkgutil.iter_modules([str(Path(__file__).parents[1] / "data" / "datasets")])
    },
    "metric": {},
}
