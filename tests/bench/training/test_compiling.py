"""Whether networks that are to be compiled are, one after the other in one process."""

import torch
from torch import nn

from bench.training import compiling

INPUTS = torch.rand(1, 3, 4, 4)


def compiled(layers, *, anew=True):
    """Compile and call a network of some layers; return what came of it.

    The code that torch compiles is the same for all of them. Without ``anew`` only the counters
    begin anew, as in a process that forgets nothing between two trials.
    """
    if anew:
        compiling.begin()
    else:
        torch._dynamo.utils.counters.clear()
    network = nn.Sequential(*[nn.ReLU() for _ in range(layers)])
    torch.compile(network, backend="eager")(INPUTS)
    return compiling.outcome()


def test_ten_networks_in_one_process_are_compiled():
    found = [compiled(layers) for layers in range(1, 11)]
    assert found == [compiling.Compiled(1, 0, 0, ())] * 10


def test_one_too_many_is_given_up_and_the_next_is_not_tried():
    compiling.begin()
    with torch._dynamo.config.patch(recompile_limit=2):
        found = [compiled(layers, anew=False) for layers in (1, 2, 3, 4)]
        assert [one.graphs for one in found] == [1, 1, 0, 0]
        assert [one.given_up for one in found] == [0, 0, 1, 0]
        assert compiled(5).graphs == 1


class Branching(nn.Module):
    def forward(self, inputs):
        inputs = inputs + 1
        torch._dynamo.graph_break()
        return inputs * 2


def test_a_graph_that_ends_in_the_middle_is_counted_with_the_reason():
    compiling.begin()
    torch.compile(Branching(), backend="eager")(INPUTS)
    found = compiling.outcome()
    assert (found.graphs, found.given_up, found.breaks) == (2, 0, 1)
    assert "graph_break" in found.reasons[0]
    compiling.begin()
    assert compiling.outcome() == compiling.Compiled(0, 0, 0, ())
