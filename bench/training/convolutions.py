"""How cuDNN chooses the algorithms of convolutions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch.backends import cudnn


@contextlib.contextmanager
def tried_by_cudnn(tried: bool) -> Iterator[None]:
    """Let cuDNN time its algorithms at the first call of every shape, or choose by its rules.

    Timing takes a while and may choose otherwise the next time, so that sums may be rounded
    otherwise. The switch is process-wide; it is as it was behind the block.
    """
    before = cudnn.benchmark
    cudnn.benchmark = tried
    try:
        yield
    finally:
        cudnn.benchmark = before
