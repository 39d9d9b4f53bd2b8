"""The JSON Schema of experiment files, against the files that there are."""

import json
from pathlib import Path

import yaml

from bench.experiment import config
from bench.experiment.schema import schema

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"


def test_the_schema_in_the_repository_is_the_current_one():
    assert (EXPERIMENTS / "schema.json").read_text(encoding="utf-8") == schema()


def test_the_schema_knows_the_keys_that_a_file_uses():
    described = json.loads(schema())
    written = yaml.safe_load((EXPERIMENTS / "loss_ablation.yaml").read_text(encoding="utf-8"))
    assert set(written) <= set(described["properties"])
    assert set(written["train"]) <= set(described["$defs"]["TrainSettings"]["properties"])


def test_the_schema_knows_all_settings_as_factors_and_takes_others_with_named_levels_only():
    factors = json.loads(schema())["properties"]["factors"]
    for path in EXPERIMENTS.rglob("*.yaml"):
        for one in config.load_all(path):
            assert set(one.factors) <= set(factors["properties"])
    assert {"data.size", "train.schedule.gamma", "timing.pass"} <= set(factors["properties"])
    assert factors["additionalProperties"]["items"]["required"] == ["name"]
