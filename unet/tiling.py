"""Overlap-tile prediction: images of any size through a network of one input size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Predict = Callable[[Tensor], Tensor]  # (N, C, h, w) -> (N, K, h - 2 lost, w - 2 lost), lost >= 0
Corner = tuple[int, int]  # row and column of the first pixel that a tile decides


@torch.no_grad()
def predict_tiled(
    predict: Predict, image: Tensor, *, tile: int, margin: int = 0, batch_size: int = 1
) -> Tensor:
    """Predict an image tile by tile, the image continued by mirroring beyond its borders.

    ::

        one tile                            kept squares over an image
        ┌───────────────┐ ┐                 ┌───────┬───────┬───╥───┐
        │    context    │ │ margin          │       │       │   ║   │
        │   ┌───────┐   │ ┘ ┐               │       │       │   ║   │
        │   │       │   │   │ step =        ├───────┼───────┼───╫───┤
        │   │ kept  │   │   │ tile          │       │       │   ║   │
        │   │       │   │   │ - 2 margin    ╞═══════╪═══════╪═══╝   │ end of the image; beyond
        │   └───────┘   │   ┘               │       │       │       │ it mirrored, and dropped
        └───────────────┘                   └───────┴───────┴───────┘

    The result is what ``predict`` would give for the mirrored image as a whole, provided that no
    kept pixel depends on anything outside its tile and that the network treats all positions
    alike. The first is a matter of ``margin``:

    - An unpadded network's output is smaller than the tile by its margin on each side
      (572 -> 388: 92). All of the output is kept, and the result is right everywhere.
    - A padded network's output is as large as the tile; its outer ``margin`` pixels are cut off.
      With at least the receptive field's radius the result is also that for the image itself,
      at pixels further than this radius from its border.
    - With ``margin=0`` and an image of the tile's size it is ``predict`` of the image.

    The second is a matter of ``step``: a network that halves its maps n times treats only such
    positions alike as are multiples of 2**n apart, so ``step`` should be such a multiple, for
    example 384 by a tile of 572 and a margin of 94.

    Args:
        predict: maps (N, C, tile, tile) to (N, K, tile - 2 lost, tile - 2 lost), where N is
            ``batch_size``, or less in the last batch. It is called without recording gradients.
        image: (C, H, W) of any size, also smaller than the tile or the margin. Tiles are made on
            its device; the result stays on the device of the predictions.
        tile: side of the network's input in pixels.
        margin: context on each side of the kept square in pixels. Less than an unpadded network
            loses means what it loses, which is then found out by one batch thrown away.
        batch_size: how many tiles are predicted at once.

    Returns:
        (K, H, W), of the predictions' type.

    Raises:
        ValueError: if the image has no pixels or not three axes, a number is out of range,
            nothing of a tile would be kept, or a prediction does not fit its tiles.

    Source: arXiv:1505.04597, figure 2.
    """
    _check(image, tile, margin, batch_size)
    height, width = image.shape[1:]
    step = tile - 2 * margin
    corners = [(row, column) for row in range(0, height, step) for column in range(0, width, step)]
    result = image.new_empty(0)
    for first in range(0, len(corners), batch_size):
        batch = corners[first : first + batch_size]
        output = predict(_cut(image, batch, tile, margin))
        lost = _lost(output, len(batch), tile)
        if lost > margin:
            return predict_tiled(predict, image, tile=tile, margin=lost, batch_size=batch_size)
        if first == 0:  # only now are channels, type and device known
            result = output.new_empty((output.shape[1], height, width))
        rest = margin - lost  # what the network has not lost already
        kept = output[:, :, rest : rest + step, rest : rest + step]
        for (row, column), square in zip(batch, kept, strict=True):
            place = result[:, row : row + step, column : column + step]
            place.copy_(square[:, : place.shape[1], : place.shape[2]])
    return result


def mirror_indices(start: int, stop: int, size: int) -> Tensor:
    """Return which of ``size`` pixels lies at each position in [start, stop).

    Beyond either end follow the mirrored pixels, as often as it takes; the pixel at the end is
    not repeated: ... 2 1 | 0 1 2 | 1 0 1 ... for three pixels.

    Returns:
        (stop - start,) int64, each at least 0 and less than ``size``.
    """
    period = max(2 * (size - 1), 1)  # a single pixel is its own mirror image
    position = torch.arange(start, stop) % period
    return torch.where(position < size, position, period - position)


def _cut(image: Tensor, corners: list[Corner], tile: int, margin: int) -> Tensor:
    """Return the tiles (N, C, tile, tile) that decide the squares starting at ``corners``."""
    tiles = []
    for row, column in corners:
        rows = mirror_indices(row - margin, row - margin + tile, image.shape[1])
        columns = mirror_indices(column - margin, column - margin + tile, image.shape[2])
        strip = image.index_select(1, rows.to(image.device))
        tiles.append(strip.index_select(2, columns.to(image.device)))
    return torch.stack(tiles)


def _lost(output: Tensor, count: int, tile: int) -> int:
    """Return how many pixels the prediction is smaller than its tiles, on each side."""
    if output.ndim == 4 and output.shape[0] == count and output.shape[2] == output.shape[3]:
        lost, odd = divmod(tile - output.shape[2], 2)
        if lost >= 0 and not odd:
            return lost
    raise ValueError(
        f"the prediction has shape {tuple(output.shape)} for {count} tiles of {tile} x {tile}: "
        f"it must be ({count}, K, h, h) with h at most {tile} and an even number of pixels less"
    )


def _check(image: Tensor, tile: int, margin: int, batch_size: int) -> None:
    if image.ndim != 3 or image.numel() == 0:
        raise ValueError(f"image must be (C, H, W) and not empty, not {tuple(image.shape)}")
    if margin < 0:
        raise ValueError(f"margin must not be negative, not {margin}")
    if tile <= 2 * margin:
        raise ValueError(f"a tile of {tile} pixels has nothing left within margins of {margin}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
