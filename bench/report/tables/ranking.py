"""How often each arm has each rank."""

from __future__ import annotations

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.store.frame import Row, typed


def ranking(results: Analysis) -> pd.DataFrame:
    """Return a row for each arm, the best mean first, once over seeds and once over images.

    ``first`` is the share of draws in which the arm is the best, ``low`` and ``high`` its ranks in
    the middle 95 % of draws, and ``shares`` those in which it has rank 1, 2 and so on.
    """
    rows: list[Row] = []
    for one in results.rankings:
        for rank, arm in enumerate(one.arms, start=1):
            low, high = one.ranks(arm)
            shares = " ".join(f"{share:.4g}" for share in one.shares[rank - 1])
            found = {"rank": rank, "first": one.first(arm), "low": low, "high": high}
            rows.append({"over": one.over, "arm": arm, **found, "shares": shares})
    return typed(rows, ("over", "arm", "rank", "first", "low", "high", "shares"))
