"""What came of compiling a network: what torch gives up, it runs as it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_LONGEST = 200  # characters of a reason; torch goes on with advice


@dataclass(frozen=True)
class Compiled:
    """What was compiled, in words of `bench.store.results.Compiled`."""

    graphs: int
    given_up: int
    breaks: int
    reasons: tuple[str, ...]


def begin() -> None:
    """Forget all that this process has compiled, and what came of it.

    Torch compiles a function again for another network, but no more than eight times.
    """
    from torch._dynamo.utils import counters  # imports the compiler, which takes seconds

    torch.compiler.reset()
    counters.clear()


def outcome() -> Compiled:
    """Return what came of all calls of compiled functions since `begin`."""
    from torch._dynamo.utils import counters

    functions, breaks = counters["frames"], counters["graph_break"]
    return Compiled(
        graphs=counters["stats"]["unique_graphs"],
        given_up=functions["total"] - functions["ok"],
        breaks=sum(breaks.values()),
        reasons=tuple(" ".join(reason.split("\n")[0].split())[:_LONGEST] for reason in breaks),
    )
