"""``tune`` of an experiment file: which settings of every arm are tuned, over which values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from bench.experiment.trial import TrialSettings
from bench.measurements import MEASUREMENTS
from bench.settings import Settings, paths, suggestion

_DIGITS = 4  # of the values of a grid, as files and reports show them
_MOST = 100  # values of a setting
_FORM = "{from: 1.0e-4, to: 1.0e-1, points: 7} or a list of values"


class TuneSettings(Settings):
    """Dotted numeric settings, each with its values, and how they are tried."""

    grid: dict[str, list[float]] = Field(
        {}, description="setting → values, rising; a file has them as keys of tune itself"
    )
    seeds: list[int] = Field(
        [100, 101], min_length=1, description="of the trials by which values are chosen"
    )
    repeat: int = Field(
        1,
        ge=1,
        description="how often every arm is tuned, each time with further seeds: 1, or as many as "
        "seeds are reported, which then have values of their own",
    )
    extend: int = Field(
        2, ge=0, le=20, description="values added at most beyond an end where the best one lies"
    )
    split: Literal["tune", "val"] = Field(
        "tune",
        description="whose scores choose: tune is a fifth of the training images, which these "
        "trials are not trained on; val only if the reported scores are of test",
    )

    @model_validator(mode="before")
    @classmethod
    def _settings_are_keys(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        dotted = {key: value for key, value in values.items() if "." in str(key)}
        rest = {key: value for key, value in values.items() if key not in dotted}
        if not dotted and not rest.get("grid"):
            raise ValueError(f"names no setting; train.learning_rate: {_FORM}")
        return {**rest, "grid": {**rest.get("grid", {}), **dotted}}

    @field_validator("grid", mode="before")
    @classmethod
    def _values(cls, grid: Any) -> Any:
        if not isinstance(grid, Mapping):
            return grid
        return {str(name): _spaced(str(name), values) for name, values in grid.items()}

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"each is given once, and none is negative (got {seeds})")
        return seeds

    def seeds_of(self, repeat: int) -> list[int]:
        """Return the seeds by which values are chosen for the nth time, from 0 on."""
        further = repeat * (max(self.seeds) - min(self.seeds) + 1)
        return [seed + further for seed in self.seeds]

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of all repeats, in this order."""
        return [seed for repeat in range(self.repeat) for seed in self.seeds_of(repeat)]

    @property
    def most(self) -> int:
        """How many combinations of values an arm is tried with at most."""
        return int(np.prod([len(values) + 2 * self.extend for values in self.grid.values()]))


def beyond(values: Sequence[float], *, low: int, high: int) -> list[float]:
    """Return rising values with some more below and above, as far apart as the outer two are.

    Values above 0 keep their ratio, others their distance; one alone is kept.
    """
    found = list(values)
    for _ in range(low if len(found) > 1 else 0):
        found.insert(0, _next(found[1], found[0]))
    for _ in range(high if len(found) > 1 else 0):
        found.append(_next(found[-2], found[-1]))
    return found


def check(
    tune: TuneSettings,
    *,
    measure: str,
    split: str,
    set_by_arms: Collection[str],
    reported: Collection[int],
) -> None:
    """Raise ValueError for what would tune arms unequally, or on what is reported.

    ``split`` and the seeds ``reported`` are those of the report.
    """
    if not MEASUREMENTS[measure].trains:
        raise ValueError(f"tune: nothing is trained if {measure} is measured")
    known = list(paths(TrialSettings))
    for name in tune.grid:
        if name not in known:
            raise ValueError(f"tune: {name!r} is no setting{suggestion(name, known)}")
    for name in tune.grid:
        if name in set_by_arms or name.rpartition(".")[0] in set_by_arms:
            raise ValueError(
                f"tune.{name}: arms set it themselves too (in factors or include); every arm "
                "is tuned over the same values, so leave it out there"
            )
    if tune.repeat not in (1, len(reported)):
        raise ValueError(
            f"tune.repeat: 1, or {len(reported)} for the {len(reported)} seeds that are reported, "
            f"so that each has a tuning of its own (got {tune.repeat})"
        )
    if both := sorted(set(tune.all_seeds) & set(reported)):
        raise ValueError(
            f"tune.seeds: {both[0]} is a seed that is reported too; a score that chose a value "
            "is too good to be reported"
        )
    if split in ("train", "tune") or split == tune.split:
        raise ValueError(
            f"tune.split: {tune.split} holds images of {split}, which is reported "
            "(evaluate.split); values are chosen on other images"
        )


def varied(
    factors: Mapping[str, Sequence[Any]], rows: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the dotted settings that arms set themselves: in factors, or in further arms."""
    for name, levels in factors.items():
        yield name
        for level in levels:
            if isinstance(level, Mapping):
                yield from (f"{name}.{key}" if "." in name else str(key) for key in level)
    for row in rows:
        yield from map(str, row)


def _next(one: float, two: float) -> float:
    found = two * two / one if one > 0 and two > 0 else two + (two - one)
    return _short(found)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _spaced(name: str, values: Any) -> list[float]:
    """Return the values of a setting, rising; ValueError if they are none."""
    if isinstance(values, Mapping):
        values = _of_range(name, values)
    numbers = isinstance(values, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in values
    )
    if not numbers or not values:
        raise ValueError(f"{name}: {_FORM} is wanted (got {str(values)[:60]})")
    found = sorted(values)
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: a value is given twice")
    if not 2 <= len(found) <= _MOST:
        raise ValueError(f"{name}: 2 to {_MOST} values can be tried (got {len(found)})")
    return found


def _of_range(name: str, values: Mapping[str, Any]) -> list[float]:
    if values.keys() != {"from", "to", "points"}:
        raise ValueError(f"{name}: {_FORM} is wanted (got the keys {', '.join(map(str, values))})")
    low, high, points = values["from"], values["to"], values["points"]
    numbers = all(isinstance(one, int | float) for one in (low, high))
    if not numbers or not 0 < low < high or not isinstance(points, int):
        raise ValueError(f"{name}: from and to are numbers above 0, and from is the smaller one")
    if not 2 <= points <= _MOST:
        raise ValueError(f"{name}: points: 2 to {_MOST} are possible (got {points})")
    return [_short(value) for value in np.geomspace(low, high, points).tolist()]
