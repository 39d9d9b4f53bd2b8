"""An augmentation: a function (**options) → transforms of albumentations."""

import albumentations as A


def noisy_flip(noise: float = 0.05) -> list[A.BasicTransform]:
    """Mirror every other image, and add Gaussian noise (standard deviation: share of the range)."""
    return [A.HorizontalFlip(p=0.5), A.GaussNoise(std_range=(noise, noise), p=0.5)]
