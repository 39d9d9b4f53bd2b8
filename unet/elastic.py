"""Elastic deformation as in the U-Net paper, as an albumentations transform."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import albumentations as A
import cv2
import numpy as np
from albumentations.core.transforms_interface import BaseTransformInitSchema
from numpy.typing import NDArray
from pydantic import Field

_KEYS_A = -0.75  # the cubic's free parameter; OpenCV and PyTorch take this value as well
_CHANNELS = 4  # cv2.remap fills at most so many channels with a constant
_NEAREST = tuple(map(np.dtype, ("u1", "i1", "u2", "i2", "i4", "f4", "f8")))  # what it reads


class ElasticDeformation(A.DualTransform):  # type: ignore[misc]  # albumentations is untyped
    """Move every pixel by a smooth random field, the same one for image and masks.

    Displacement vectors are drawn on a ``grid`` x ``grid`` lattice that spans the image, its
    outer nodes on the outermost pixels, and interpolated to every pixel (``sampling_map``).
    Each output pixel is then read from where its vector points. Images are interpolated; where
    the field looks outside, they continue as in a mirror, the edge pixel not repeated. Masks
    take the nearest pixel, so that no value appears in them that was not there.

    The vectors come from the transform's ``random_generator``, hence from the seed of the
    ``A.Compose`` around it. A serialised pipeline loads once this module is imported.

    Targets:
        image, images, volume: (..., H, W) or (..., H, W, channels), any number of channels;
        uint8, uint16, int16, float32 or float64.
        mask, masks, mask3d: the same shapes, any integer, bool or float type. A map of pixel
        weights can go along as ``additional_targets={"weights": "mask"}`` (nearest pixel), or
        as ``"image"`` (interpolated) if no other transform changes grey values.

    Args:
        sigma: standard deviation of both components of a node's vector, in pixels.
        grid: nodes along each axis, at least 2.
        mask_fill: label that masks get where the field looks outside the image, such as the
            label that a loss ignores; None continues masks as in a mirror, like the image.
            Floating-point masks hold values rather than labels and are mirrored always.
        interpolation: OpenCV's code of the image interpolation: ``cv2.INTER_LINEAR``,
            ``INTER_NEAREST``, ``INTER_CUBIC`` or ``INTER_LANCZOS4``.
        p: probability of applying the transform.

    Raises:
        ValueError: if an argument is out of its range, or ``mask_fill`` out of a mask's range.

    Source: arXiv:1505.04597, section 3.1 (3 x 3 nodes, 10 pixels, bicubic).
    """

    class InitSchema(BaseTransformInitSchema):  # type: ignore[misc]
        """Types and ranges of the arguments, checked by albumentations."""

        sigma: float = Field(ge=0, allow_inf_nan=False)
        grid: int = Field(ge=2)
        mask_fill: int | None
        interpolation: Literal[0, 1, 2, 4]

    def __init__(
        self,
        sigma: float = 10.0,
        grid: int = 3,
        *,
        mask_fill: int | None = None,
        interpolation: int = cv2.INTER_LINEAR,
        p: float = 0.5,
    ) -> None:
        super().__init__(p=p)
        self.sigma = sigma
        self.grid = grid
        self.mask_fill = mask_fill
        self.interpolation = interpolation

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw the field that all targets of one call share."""
        return {"field": sampling_map(self.draw_nodes(), params["shape"][:2])}

    def draw_nodes(self) -> NDArray[np.float64]:
        """Draw the displacements of the lattice's nodes, as `sampling_map` takes them."""
        drawn: NDArray[np.float64] = self.random_generator.normal(
            0.0, self.sigma, (2, self.grid, self.grid)
        )
        return drawn

    def apply(self, img: NDArray[Any], field: NDArray[np.float32], **params: Any) -> NDArray[Any]:
        """Deform an image, (H, W) or (H, W, channels)."""
        return _remap(img, field, self.interpolation, None)

    def apply_to_mask(
        self, mask: NDArray[Any], field: NDArray[np.float32], **params: Any
    ) -> NDArray[Any]:
        """Deform a mask, (H, W) or (H, W, channels), without mixing its values."""
        fill = None if mask.dtype.kind == "f" else self.mask_fill
        if fill is not None and np.asarray(fill).astype(mask.dtype) != fill:
            raise ValueError(f"mask_fill={fill} does not fit a {mask.dtype} mask")
        readable = mask if mask.dtype in _NEAREST else mask.astype(np.float64)
        moved = _remap(readable, field, cv2.INTER_NEAREST, fill)
        return moved.astype(mask.dtype, copy=False)


def sampling_map(nodes: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return where each pixel is to be read, given displacements on a coarse lattice.

    The lattice's corners lie on the corner pixels. Between the nodes each component is
    interpolated by cubic convolution along both axes (Keys 1981, a = -0.75, the outermost node
    repeated beyond the edge); on a node the displacement is the node's own.

    Args:
        nodes: (2, grid, grid) displacements in pixels: along x (columns), then along y (rows).
        shape: height and width of the image in pixels.

    Returns:
        (2, H, W) float32 pixel coordinates: columns, then rows.
    """
    height, width = shape
    grid = nodes.shape[-1]
    rows, columns = cubic_weights(height, grid), cubic_weights(width, grid)
    field = rows @ nodes.astype(np.float32) @ columns.T  # (H, g) @ (2, g, g) @ (g, W)
    field[0] += np.arange(width, dtype=np.float32)
    field[1] += np.arange(height, dtype=np.float32)[:, None]
    return field


@lru_cache(maxsize=64)  # a pipeline meets few sizes, usually one
def cubic_weights(size: int, grid: int) -> NDArray[np.float32]:
    """Return the (size, grid) float32 matrix that interpolates ``grid`` values to ``size``."""
    positions = np.linspace(0.0, grid - 1.0, size)
    distance = np.abs(positions[:, None] - np.arange(-1, grid + 1))  # one node more on each side
    near = ((_KEYS_A + 2) * distance - (_KEYS_A + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * _KEYS_A - 4 * _KEYS_A
    weights = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    weights[:, 1] += weights[:, 0]
    weights[:, -2] += weights[:, -1]
    inner = weights[:, 1:-1].astype(np.float32)
    inner.flags.writeable = False  # every caller gets the same array
    return inner


def _remap(
    image: NDArray[Any], field: NDArray[np.float32], interpolation: int, fill: int | None
) -> NDArray[Any]:
    """Read ``image`` at ``field``; outside it lies its mirror image, or ``fill`` if given."""
    border = cv2.BORDER_REFLECT_101 if fill is None else cv2.BORDER_CONSTANT
    value = (fill or 0,) * _CHANNELS

    def read(part: NDArray[Any]) -> NDArray[Any]:
        return cv2.remap(
            part, field[0], field[1], interpolation, borderMode=border, borderValue=value
        )

    if image.ndim == 2 or image.shape[2] <= _CHANNELS:
        return read(image).reshape(image.shape)  # OpenCV drops a single channel's axis
    starts = range(0, image.shape[2], _CHANNELS)
    return np.dstack([read(image[:, :, start : start + _CHANNELS]) for start in starts])
