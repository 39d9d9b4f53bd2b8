"""Augmentations by elastic deformation."""

from __future__ import annotations

import albumentations as A

from bench.data.augmentations.rigid import paper_rigid
from unet.elastic import ElasticDeformation


def elastic() -> list[A.BasicTransform]:
    """Mirror, and deform as arXiv:1505.04597 does."""
    return [A.HorizontalFlip(p=0.5), deformed()]


def paper() -> list[A.BasicTransform]:
    """Do all that arXiv:1505.04597 lists: shift, rotation, grey values, elastic deformation."""
    return [*paper_rigid(), deformed()]


def deformed() -> ElasticDeformation:
    """Deform by displacements of 10 pixels on a 3 × 3 grid, four times out of five."""
    return ElasticDeformation(sigma=10.0, grid=3, p=0.8)
