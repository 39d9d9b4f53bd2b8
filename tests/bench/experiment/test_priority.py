"""What is measured first: whole seeds, the baseline first, and no trial lost or twice."""

import itertools
import random

import pytest

from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.priority import first_things_first
from bench.experiment.stages import Stage

VALUES = {
    "name": "small",
    "data": {"name": "scenes", "train": 4, "val": 2, "test": 1},
    "factors": {"train.loss": ["ce", "dice", "dice+ce"], "train.batch_size": [1, 2]},
    "baseline": {"train.loss": "dice", "train.batch_size": 2},
    "seeds": [4, 2, 0, 1],
}
BASELINE = VALUES["baseline"]


@pytest.fixture(scope="module", params=["accuracy", "throughput"])
def planned(request, tmp_path_factory):
    described = Experiment.model_validate({**VALUES, "measure": request.param})
    return described, plan.plan(described, tmp_path_factory.mktemp("none"))


@pytest.mark.parametrize("number", range(8))
def test_arms_stay_together_and_what_needs_least_comes_first(planned, number):
    described, trials = planned
    draw = random.Random(number)
    wanted = {trial.key for trial in trials if draw.random() < 0.6}
    begun = {key for key in wanted if draw.random() < 0.3}
    found = first_things_first(described, Stage(trials), wanted, begun.__contains__)
    assert sorted(trial.key for trial in found) == sorted(wanted)
    if described.measure == "throughput":  # in the balanced order, from which some are missing
        order = [one for one in plan.measuring_order(described, trials) if one.key in wanted]
        assert found == order
        return
    rounds = [[found[0]]]
    for before, trial in itertools.pairwise(found):
        if trial.seed == before.seed:
            rounds[-1].append(trial)
        else:
            rounds.append([trial])
    assert len({own[0].seed for own in rounds}) == len(rounds)  # each seed in one piece
    place = VALUES["seeds"].index
    assert rounds == sorted(rounds, key=lambda own: (len(own), place(own[0].seed)))
    for own in rounds:
        kinds = [0 if t.arm.levels == BASELINE else 1 if t.key in begun else 2 for t in own]
        assert kinds == sorted(kinds)
        for kind in (1, 2):  # otherwise in the order of the plan
            same = [one for one, its in zip(own, kinds, strict=True) if its == kind]
            assert same == sorted(same, key=trials.index)
