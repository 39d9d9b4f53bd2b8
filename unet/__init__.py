"""U-Net for semantic segmentation, with what is needed to train and to judge it.

The network is `UNet`. Beside it stand `unet.sliding` (the classifier of windows that it
replaced), `unet.checkpoints` (weights → the U-Net that they are of), `unet.losses` (cross-entropy,
Dice and their sum, made of `unet.overlap`), `unet.metrics` (one confusion matrix and every score of
it), `unet.segments` (scores of connected components), `unet.boundary` (border weights and boundary
scores), `unet.elastic` (elastic deformation) and `unet.tiling` (prediction tile by tile). Nothing
here reads a file or prints; labels are (N, H, W) integers in which 255 marks a pixel that counts
nowhere.
"""

from unet.model import UNet

__all__ = ["UNet"]
