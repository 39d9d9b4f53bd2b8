"""The JSON Schema of experiment files."""

from __future__ import annotations

import json

from bench import metrics
from bench.experiment import datasets
from bench.experiment.config import Experiment
from bench.experiment.trial import TrialSettings
from bench.settings import paths


def schema() -> str:
    """Return the JSON Schema of an experiment file, for editors that complete YAML."""
    body = Experiment.model_json_schema()
    body["title"] = "Experiment"
    body["properties"]["extends"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "experiment files, relative to this one, whose values hold here too",
    }
    body["properties"][datasets.KEY] = datasets.SCHEMA
    seeds = body["properties"]["seeds"]
    seeds["anyOf"] = [{"type": "integer", "minimum": 1}, *seeds.pop("oneOf")]
    metric = body["properties"]["metric"]
    by_class = "|".join(name for name, one in metrics.METRICS.items() if one.per_class)
    metric["anyOf"] = [
        {"enum": list(metrics.METRICS)},
        {"type": metric.pop("type"), "pattern": rf"^({by_class})\[.+\]$"},
    ]
    body["properties"]["factors"]["properties"] = {
        name: {"type": "array", "minItems": 1} for name in paths(TrialSettings)
    }
    body["properties"]["factors"]["additionalProperties"] = {
        "description": "levels that set several settings each, by dotted names",
        "items": {
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "type": "object",
        },
        "minItems": 1,
        "type": "array",
    }
    body.pop("required")  # a file that extends another one may leave everything out
    return json.dumps(body, indent=2) + "\n"
