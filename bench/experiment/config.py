"""YAML → a checked ``Experiment``. Every mistake becomes one line that names file and key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from bench import metrics, yaml_files
from bench.components.names import ComponentName, is_path, relative_to
from bench.errors import UserError, nearest
from bench.experiment.trial import TrialSettings
from bench.measurements import MEASUREMENTS
from bench.settings import Settings, validate

Levels = dict[str, Any]  # dotted setting → its value in one arm
MAX_TRIALS = 1_000_000  # of one experiment
MAX_FILES = 100  # that an experiment extends, counted as often as each is read
DOTTED_SECTIONS = ("factors", "baseline")  # their keys are dotted settings themselves


class Experiment(TrialSettings):
    """A YAML file: a base trial, and what is varied around it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)
    question: str = Field("", description="what this experiment is to answer, for the report")
    measure: Literal["accuracy", "throughput"] = "accuracy"
    metric: ComponentName = Field(
        "mean_iou",
        description="a key of bench.metrics.METRICS, of one class as iou[car], or one of your own "
        "as package.module:name",
    )
    factors: dict[str, list[Any]] = Field({}, description="dotted setting → its levels")
    design: Literal["full_factorial", "one_at_a_time"] = "full_factorial"
    include: list[Levels] = Field([], description="further arms, each over the baseline")
    exclude: list[Levels] = Field([], description="combinations of levels to leave out")
    seeds: list[int] = Field(
        [0, 1, 2], min_length=1, description="a list, or how many; of throughput, its repetitions"
    )
    baseline: Levels = Field({}, description="the level of each factor to compare with")
    _folder: Path = PrivateAttr()
    equivalence: float | None = Field(
        None,
        gt=0,
        description="differences below this, in units of the metric, do not matter; of "
        "throughput, ratios nearer to 1: 0.02 is within a factor 1.02",
    )

    @field_validator("name")
    @classmethod
    def _is_a_folder_of_its_own(cls, name: str) -> str:
        if name.lower() == "index.html":
            raise ValueError(f"{name!r} is the page that lists all experiments; take another name")
        return name

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_measurement(cls, values: Any) -> Any:
        measure = values.get("measure") if isinstance(values, dict) else None
        if not isinstance(measure, str) or measure not in MEASUREMENTS:
            return values  # what is wrong is said when fields are validated
        found = MEASUREMENTS[measure]
        return {"metric": found.metric, "seeds": list(found.replicates), **values}

    @model_validator(mode="before")
    @classmethod
    def _own_metric_is_computed(cls, values: Any) -> Any:
        metric = values.get("metric") if isinstance(values, dict) else None
        if not isinstance(metric, str) or not is_path(metric):
            return values
        section = values.get("evaluate") or {}
        if not isinstance(section, dict) or not isinstance(section.get("metrics", {}), dict):
            return values  # what is wrong is said when fields are validated
        computed = {metric: {}, **section.get("metrics", {})}
        return {**values, "evaluate": {**section, "metrics": computed}}

    @model_validator(mode="after")
    def _metric_is_measured(self) -> Experiment:
        try:
            found = metrics.find(self.metric)
        except UserError as error:
            raise ValueError(str(error)) from error
        if found.measure != self.measure:
            raise ValueError(f"metric: measure: {self.measure} does not give {self.metric!r}")
        return self

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, seeds: Any) -> Any:
        if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 0:
            if seeds > MAX_TRIALS:
                raise ValueError(f"{seeds} are more than {MAX_TRIALS}")
            return list(range(seeds))
        return seeds

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds are distinct and not negative (got {seeds})")
        return seeds

    @model_validator(mode="after")
    def _factors_are_settings(self) -> Experiment:
        known = list(setting_paths(self.base()))
        named = [("factors", name) for name in self.factors]
        named += [("include", name) for row in self.include for name in row]
        for section, name in named:
            if name not in known:
                raise ValueError(f"{section}: {name!r} is no setting{nearest(name, known)}")
        for name, levels in self.factors.items():
            if not levels:
                raise ValueError(f"factors.{name}: has no levels")
            seen = set()
            for level in levels:
                if hashable(level) in seen:
                    raise ValueError(f"factors.{name}: level {level!r} is given twice")
                seen.add(hashable(level))
        return self

    @model_validator(mode="after")
    def _is_of_a_size_to_be_planned(self) -> Experiment:
        sizes = [len(levels) for levels in self.factors.values()]
        if self.design == "full_factorial":
            designed = math.prod(sizes)
        else:  # the baseline, and each of the other levels alone
            designed = 1 + sum(size - 1 for size in sizes)
        trials = (designed + len(self.include)) * len(self.seeds)
        if trials > MAX_TRIALS:
            named = " and ".join(name for name in ("factors", "include") if getattr(self, name))
            raise ValueError(f"{named or 'seeds'}: they make {trials} trials; at most {MAX_TRIALS}")
        return self

    @model_validator(mode="after")
    def _baseline_is_in_the_grid(self) -> Experiment:
        levels = {name: set(map(hashable, values)) for name, values in self.factors.items()}
        for section, rows in (("baseline", [self.baseline]), ("exclude", self.exclude)):
            for name, level in ((n, v) for row in rows for n, v in row.items()):
                where = f"{section}.{name}"
                if name not in self.factors:
                    raise ValueError(f"{where}: no such factor{nearest(name, self.factors)}")
                if hashable(level) not in levels[name]:
                    known = ", ".join(map(str, self.factors[name]))
                    raise ValueError(f"{where}: {level!r} is no level of it; known: {known}")
        missing = [name for name in self.factors if name not in self.baseline]
        if self.baseline and missing:
            raise ValueError(f"baseline: says nothing about {missing[0]}")
        return self

    def model_post_init(self, context: Any) -> None:
        """Keep the folder that components of the user's own are relative to."""
        self._folder = Path((context or {}).get("folder", "")).resolve()

    @property
    def folder(self) -> Path:
        """The folder that components of the user's own are relative to: of the file."""
        return self._folder

    def base(self) -> TrialSettings:
        """Return the settings of a trial before any factor is applied."""
        return TrialSettings.model_construct(
            **{name: getattr(self, name) for name in TrialSettings.model_fields}
        )


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment; UserError names the file and the key, whatever is wrong with them.

    ``extends`` in it names one or more other files, relative to it. Overrides, ``key=value`` with
    dotted keys and YAML values, are applied last.
    """
    values = _read(path, iter(range(MAX_FILES)))
    for override in overrides:
        _override(values, override)
    return validate(Experiment, values, source=path, folder=path.parent)


def hashable(level: Any) -> Any:
    """Return what can be looked up in a set in place of a level, and is equal where levels are."""
    if isinstance(level, dict):
        return frozenset((key, hashable(value)) for key, value in level.items())
    if isinstance(level, list | tuple):
        return tuple(map(hashable, level))
    return level


def schema() -> str:
    """Return the JSON Schema of an experiment file, for editors that complete YAML."""
    body = Experiment.model_json_schema()
    body["title"] = "Experiment"
    body["properties"]["extends"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "experiment files, relative to this one, whose values hold here too",
    }
    seeds = body["properties"]["seeds"]
    listed = {"type": seeds.pop("type"), "items": seeds.pop("items")}
    seeds["anyOf"] = [{"type": "integer", "minimum": 1}, listed]
    del seeds["minItems"]
    metric = body["properties"]["metric"]
    by_class = "|".join(name for name, one in metrics.METRICS.items() if one.per_class)
    metric["anyOf"] = [
        {"enum": list(metrics.METRICS)},
        {"type": metric.pop("type"), "pattern": rf"^({by_class})\[.+\]$"},
    ]
    body.pop("required")  # a file that extends another one may leave everything out
    return json.dumps(body, indent=2) + "\n"


def setting_paths(settings: Settings, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting, sections included: ``train.schedule.gamma``."""
    for key, name in type(settings).keys().items():
        yield prefix + key
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from setting_paths(value, f"{prefix}{key}.")


def _read(path: Path, allowed: Iterator[int], seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a YAML file and what it extends; of two values for a key the later one wins.

    ``allowed`` has an item for every file that may still be read: a few files that extend each
    other several times could otherwise make millions.
    """
    if path.resolve() in seen:
        raise UserError(f"{path}: extends itself")
    if next(allowed, None) is None:
        raise UserError(f"{path}: extends more than {MAX_FILES} files")
    values = yaml_files.read_mapping(path)
    parents = values.pop("extends", [])
    merged: dict[str, Any] = {}
    for parent in parents if isinstance(parents, list) else [parents]:
        if not isinstance(parent, str) or "\0" in parent:
            raise UserError(f"{path}: extends: a file name is wanted (got {parent!r})")
        below = _read(path.parent / parent, allowed, (*seen, path.resolve()))
        merged = _merge(merged, _moved(below, (path.parent / parent).parent, path.parent))
    return _merge(merged, values)


def _moved(value: Any, old: Path, new: Path) -> Any:
    """Return values of a file whose components, relative to one folder, are so to another."""
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, old, new) for one in value]
    return relative_to(value, old, new) if isinstance(value, str) and old != new else value


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another; what is varied (factors, baseline) is replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if key not in DOTTED_SECTIONS and isinstance(value, dict) and isinstance(under, dict):
            value = _merge(under, value)
        merged[key] = value
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    """Apply one ``--set key=value`` to the values of a file."""
    key, value = yaml_files.assignment(override)
    factors = values.get("factors")
    if isinstance(factors, dict) and key in factors:
        raise UserError(f"--set {override}: {key} is a factor; set factors.{key}=[...] instead")
    section, _, rest = key.partition(".")
    path = [section, rest] if section in DOTTED_SECTIONS and rest else key.split(".")
    for part in path[:-1]:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise UserError(f"--set {override}: {part} is no section")
    values[path[-1]] = value
