"""YAML → a checked ``Experiment``. Each mistake becomes one line that names file and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bench import metrics
from bench.components.names import ComponentName, is_path
from bench.data.folds import check_pattern
from bench.errors import UserError, UserErrors
from bench.experiment import (
    datasets,
    declared_looks,
    design_checks,
    label_checks,
    layers,
    tune,
)
from bench.experiment.declared_looks import DeclaredLooks
from bench.experiment.design_checks import MAX_TRIALS
from bench.experiment.layers import Layer
from bench.experiment.levels import SECTIONS, Levels
from bench.experiment.trial import TrialSettings
from bench.experiment.tune import TuneSettings
from bench.measurements import MEASUREMENTS
from bench.settings import Mistake, check, in_order, paths
from bench.store.labels import Labels
from bench.store.plans import Block
from bench.store.rename import NAME, check_name

Seeds = Annotated[
    Annotated[list[int], Field(min_length=1), Tag("listed")]
    | Annotated[DeclaredLooks, Tag("looks")],
    Discriminator(declared_looks.form),
]


class Experiment(TrialSettings):
    """A YAML file: a base trial, and what is varied around it."""

    name: str = Field(pattern=NAME, max_length=100)
    question: str = Field("", description="what this experiment is to answer, for the report")
    measure: Literal["accuracy", "throughput"] = "accuracy"
    metric: ComponentName = Field(
        "mean_iou",
        description="a key of bench.metrics.METRICS, of one class as iou[car], or one of your own "
        "as package.module:name",
    )
    factors: dict[str, list[Any]] = Field(
        {},
        description="dotted setting → its levels; or any name → levels that set several settings, "
        "each with a name: {name: Dice at 1e-3, train.loss: dice, train.learning_rate: 0.001}",
    )
    design: Literal["full_factorial", "one_at_a_time"] = "full_factorial"
    include: list[Levels] = Field(
        [], description="further arms, each over the baseline; name: what to call the arm"
    )
    exclude: list[Levels] = Field([], description="combinations of levels to leave out")
    seeds: Seeds = Field(
        [0, 1, 2],
        description="a list, or how many; of throughput, its repetitions; or the looks at which "
        "comparisons are decided: {look_at: [3, 5, 8]} or {until: decided, at_most: 20}",
    )
    baseline: Levels = Field({}, description="the level of each factor to compare with")
    tune: TuneSettings | None = Field(
        None,
        description="numeric settings that are tuned for every arm alike, by dotted name: "
        "train.learning_rate: {from: 1.0e-4, to: 1.0e-1, points: 7}, or a list of values",
    )
    _folder: Path = PrivateAttr()
    _block: Block | None = PrivateAttr(None)
    pairing: Literal["seed", "none"] = Field(
        "seed",
        description="seed: runs of one seed are compared with each other; none: a seed is nothing "
        "that arms share, as in results of others",
    )
    image_groups: str | None = Field(
        None,
        description="images of a group, such as slices of a volume, count as one where a report "
        "says what holds for other images: a regular expression; what its parentheses fit in an "
        "image's name is its group",
    )
    labels: Labels = Field(
        Labels(), description="what reports call levels, classes and datasets; changes no result"
    )
    equivalence: float | None = Field(
        None,
        gt=0,
        description="differences below this, in units of the metric, do not matter; of "
        "throughput, ratios nearer to 1: 0.02 is within a factor 1.02",
    )

    @field_validator("name", mode="before")
    @classmethod
    def _is_a_folder_of_its_own(cls, name: Any) -> Any:
        if isinstance(name, str):
            check_name(name)
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

    @field_validator("metric")
    @classmethod
    def _is_measured(cls, metric: str, info: ValidationInfo) -> str:
        try:
            found = metrics.find(metric)
        except UserError as error:
            raise ValueError(str(error)) from error
        if info.data.get("measure", found.measure) != found.measure:
            raise ValueError(f"measure: {info.data['measure']} does not give {metric!r}")
        return metric

    @field_validator("image_groups")
    @classmethod
    def _can_be_read(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            check_pattern(pattern)
        return pattern

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
    def _distinct(cls, seeds: list[int] | DeclaredLooks) -> list[int] | DeclaredLooks:
        if isinstance(seeds, list) and (len(set(seeds)) < len(seeds) or min(seeds) < 0):
            raise ValueError(f"each is given once, and none is negative (got {seeds})")
        return seeds

    @model_validator(mode="after")
    def _looks_are_possible(self) -> Experiment:
        """Refuse looks where the bounds of verdicts would not hold."""
        if self.looks:
            declared_looks.check(self.measure, tuned=self.tune is not None, pairing=self.pairing)
        return self

    @model_validator(mode="after")
    def _tuned_alike(self) -> Experiment:
        """Refuse what would tune arms unequally, or on what is reported."""
        if self.tune is not None:
            tune.check(
                self.tune,
                measure=self.measure,
                split=self.evaluate.split,
                set_by_arms=set(tune.varied(self.factors, [*self.include, *self.exclude])),
                reported=self.all_seeds,
            )
        return self

    def model_post_init(self, context: Any) -> None:
        """Keep the folder that components of the user's own are relative to."""
        self._folder = Path((context or {}).get("folder", "")).resolve()

    @property
    def folder(self) -> Path:
        """The folder that components of the user's own are relative to: of the file."""
        return self._folder

    @property
    def block(self) -> Block | None:
        """Which part of a file with several datasets it is; None of a file with one."""
        return self._block

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which comparisons are decided; none without a declaration."""
        return self.seeds.numbers if isinstance(self.seeds, DeclaredLooks) else ()

    @property
    def all_seeds(self) -> list[int]:
        """The seeds that may be measured."""
        return list(range(self.looks[-1])) if isinstance(self.seeds, DeclaredLooks) else self.seeds

    def base(self) -> TrialSettings:
        """Return the settings of a trial before any factor is applied."""
        return TrialSettings.model_construct(
            **{name: getattr(self, name) for name in TrialSettings.model_fields}
        )


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment on one dataset, as ``load_all`` does."""
    return _only(load_all(path, overrides), path)


def load_all(path: Path, overrides: Sequence[str] = ()) -> list[Experiment]:
    """Read an experiment: one for each of its ``datasets``, or the only one.

    UserError names file and key of all that is wrong, in a line each. ``extends`` in it names one
    or more other files, relative to it. Overrides, ``key=value`` with dotted keys and YAML values,
    are applied last.
    """
    return _checked(layers.of_file(path), overrides, path.parent)


def from_mapping(values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment of values as a file has them.

    Files that it names are relative to the current folder.
    """
    return _only(_checked(layers.of_mapping(values, "experiment"), overrides, Path()), "experiment")


def _only(found: list[Experiment], source: object) -> Experiment:
    if len(found) > 1:
        raise UserError(
            f"{source}: datasets: are for `python -m bench run FILE`, which measures one after the "
            "other; here, give a single one as data"
        )
    return found[0]


def _checked(read: list[Layer], overrides: Sequence[str], folder: Path) -> list[Experiment]:
    values = layers.merged(read)
    wrong: list[UserError] = []
    for text in overrides:
        try:
            values, layer = layers.override(values, text)
            read.append(layer)
        except UserError as error:
            wrong.append(error)
    experiments: list[Experiment] = []
    lines: dict[str, None] = {}
    try:
        for block, own in datasets.blocks(values):
            found, mistakes = _of_values(own, folder)
            lines |= dict.fromkeys(datasets.said(one, block, read) for one in mistakes)
            if found is not None:
                found._block = block
                experiments.append(found)
    except UserError as error:
        lines[f"{layers.source_of(read, [datasets.KEY])}: {error}"] = None
    if lines or wrong:
        raise UserErrors([*map(UserError, lines), *wrong])
    return experiments


def _of_values(values: dict[str, Any], folder: Path) -> tuple[Experiment | None, list[Mistake]]:
    """Return the experiment of the values on one dataset; or all that is wrong with them."""
    found = check(Experiment, values, folder)
    mistakes = found if isinstance(found, list) else []
    if mistakes:  # then nothing has looked yet at settings together
        ours = {key: values[key] for key in SECTIONS & values.keys()}
        together = check(TrialSettings, ours, folder)
        known_already = {one.path for one in mistakes}
        more = together if isinstance(together, list) else []
        mistakes = [*mistakes, *(one for one in more if one.path not in known_already)]
    known = list(dict.fromkeys(paths(TrialSettings, values)))
    mistakes = in_order([*mistakes, *design_checks.mistakes(values, known, folder)], values)
    if isinstance(found, Experiment) and not mistakes:
        mistakes = list(label_checks.mistakes(found.labels, found.factors, found.include))
    return (found if isinstance(found, Experiment) and not mistakes else None), mistakes
