"""Experiments on several datasets: what a file with ``datasets`` becomes."""

import pytest
import yaml

from bench.errors import UserError
from bench.experiment import config, plan
from bench.store.plans import Block

SHARED = {
    "name": "two",
    "model": {"base_channels": 4, "depth": 2},
    "train": {"epochs": 1, "crop_size": 32, "threads": 1},
    "factors": {"train.loss": ["ce", "dice"]},
    "seeds": [0, 1],
}


@pytest.fixture
def read(tmp_path):
    def get(datasets, *overrides, **more):
        path = tmp_path / "two.yaml"
        values = {**SHARED, "datasets": datasets, **more}
        path.write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
        return config.load_all(path, overrides)

    return get


def test_each_dataset_is_an_experiment_of_its_own(read):
    cells, scenes = read(["cells", {"name": "scenes", "void": "ignore"}])
    assert (cells.name, scenes.name) == ("two.cells", "two.scenes")
    assert (cells.data.name, scenes.data.name) == ("cells", "scenes")
    assert scenes.data.void == "ignore"
    assert cells.block == Block(experiment="two", dataset="cells", datasets=("cells", "scenes"))
    assert cells.factors == scenes.factors


def test_a_mapping_gives_names_of_its_own(read):
    small, large = read({"small": {"name": "cells", "train": 4}, "large": "cells"})
    assert (small.name, large.name) == ("two.small", "two.large")
    assert (small.data.train, small.block.dataset) == (4, "small")


def test_trials_and_keys_are_those_of_the_experiment_alone(read, tmp_path):
    cells, _ = read(["cells", "scenes"])
    alone = config.from_mapping({**SHARED, "data": {"name": "cells"}})
    trials = plan.plan(cells, tmp_path)
    assert [t.key for t in trials] == [t.key for t in plan.plan(alone, tmp_path)]
    stored = plan.describe(cells, trials, "run", folder=tmp_path)
    assert (stored.name, stored.block) == ("two.cells", cells.block)
    assert alone.block is None


def test_what_extends_a_file_with_data_may_list_datasets_instead(read, tmp_path):
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"data": {"name": "cells"}}), "utf-8")
    found = read(["cells", "scenes"], extends="one.yaml")
    assert [one.data.name for one in found] == ["cells", "scenes"]


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["cells", "scenez"], "datasets: scenez: data.name: unknown dataset 'scenez'; did you me"),
        (["cells", {"name": "scenes", "voi": 1}], "datasets: scenes: data: unknown key 'voi'"),
        (["cells"], "datasets: names fewer than two"),
        ("cells", "datasets: 'cells' is no list"),
        ([3, "cells"], "datasets: 3 is no dataset"),
        (["cells", {"name": "cells", "train": 4}], "datasets: two are called 'cells'"),
        ({"a": "cells", "b": "cells"}, "datasets: b is another one over again"),
        ({"a b": "cells", "c": "scenes"}, "name: letters, digits"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(read, datasets, message):
    with pytest.raises(UserError) as caught:
        read(datasets)
    assert "\n" not in str(caught.value)
    assert message in str(caught.value)
    assert "two.yaml: " in str(caught.value)


def test_data_beside_datasets_and_a_single_experiment_are_refused(read, tmp_path):
    with pytest.raises(UserError, match=r"datasets: stands in place of data"):
        read(["cells", "scenes"], "data.name=cells")
    read(["cells", "scenes"])
    with pytest.raises(UserError, match=r"two.yaml: datasets: are for `python -m bench run FILE`"):
        config.load(tmp_path / "two.yaml")
    wrong = {"datasets": ["cells", "scenes"], "train": {"epochs": "x"}}
    with pytest.raises(UserError) as caught:  # said once, not for each dataset
        read(**wrong)
    assert str(caught.value).count("train.epochs") == 1
