"""Made-up scores of experiments."""

import numpy as np

SIX = {"train.loss": ["ce", "dice", "dice+ce"], "model.upsampling": ["bilinear", "transposed"]}
CUBE = {name: ["low", "high"] for name in ("a.a", "b.b", "c.c")}


def scores(arms, seeds, generator=0, **shifts):
    """Return made-up scores, of which arms given as ``arm3=0.2`` are shifted."""
    rng = np.random.default_rng(generator)
    shift = [shifts.get(f"arm{arm}", 0.0) for arm in range(arms)]
    table = 0.5 + 0.01 * rng.standard_normal((arms, seeds)) + np.array(shift)[:, None]
    return {(arm, seed): float(table[arm, seed]) for arm in range(arms) for seed in range(seeds)}
