"""An experiment with its statistics, each computed once, when it is first asked for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

from bench.analysis.effects import (
    collapse,
    declared_looks,
    endings,
    looks,
    tuned_verdicts,
    tuning,
)
from bench.analysis.effects.collapse import Collapse
from bench.analysis.effects.comparisons import Comparison, compare
from bench.analysis.effects.declared_looks import Series
from bench.analysis.effects.estimates import estimates, varying
from bench.analysis.effects.factorial import Interaction, SimpleEffect, factorial
from bench.analysis.effects.image_claims import ImageClaim, image_claims
from bench.analysis.effects.image_intervals import ImageInterval, image_intervals
from bench.analysis.effects.other_metrics import ByMetric, by_other_metrics
from bench.analysis.effects.planning import Planning, planning
from bench.analysis.effects.ranking import Ranking, rankings
from bench.analysis.effects.runs import Runs, runs
from bench.analysis.effects.tuned_verdicts import Conclusion
from bench.analysis.effects.tuning import Search, Values
from bench.analysis.scales import Scale, scale_of
from bench.analysis.stats.anova import Row
from bench.analysis.stats.sample import Sample, bartlett
from bench.store import loading
from bench.store import looks as stored_looks
from bench.store.folder import Store
from bench.store.frame import Results
from bench.store.loading import Refuse
from bench.store.looks import ReportedLook
from bench.store.plans import Plan


@dataclass(frozen=True)
class Effects:
    """The statistics of an experiment; comparisons are effects on ``scale``, the rest scores."""

    comparisons: tuple[Comparison, ...]  # levels in the order of the plan, then ``include``
    correction: str  # ``dunnett``, ``holm`` (both in steps) or ``none`` (of a single comparison)
    delta: float | None  # effects within ±δ do not matter; None where none was declared
    scale: Scale
    levels: dict[tuple[str, str], Sample]  # (factor, level) → over seeds, means over its arms
    arms: dict[str, Sample]  # label → over its seeds
    anova: tuple[Row, ...]  # of a full factorial; empty for other designs
    interactions: tuple[Interaction, ...]  # every pair of factors of a full factorial
    simple: tuple[SimpleEffect, ...]  # at each level of a factor that interacts
    spreads: tuple[float, ...]  # standard deviation of each arm that has one, on the scale
    alike: float  # p of the test that these are the same, which a shared error assumes

    @property
    def tested(self) -> int:
        """How many comparisons could be tested: the size of the family."""
        return sum(comparison.testable for comparison in self.comparisons)

    def simple_of(self, one: Comparison) -> tuple[SimpleEffect, ...]:
        """Return what a level does within the levels of each factor that it interacts with."""
        wanted = one.factor, one.level
        return tuple(each for each in self.simple if (each.factor, each.level) == wanted)

    @property
    def pooled(self) -> bool:
        """Whether a comparison of two arms has an error that others contribute to."""
        return any(one.pooled for one in self.comparisons if one.testable)


@dataclass(frozen=True, eq=False)
class Analysis(Results):
    """Results, and what they show."""

    @property
    def scale(self) -> Scale:
        """What scores are compared by: differences or ratios."""
        return scale_of(self.measurement, self.metric)

    @cached_property
    def runs(self) -> Runs:
        """The score of every run, by arm and seed."""
        return runs(self)

    @cached_property
    def effects(self) -> Effects:
        """Every comparison with the baseline, with a verdict on each."""
        compared, margin = self.runs.on(self.scale), self.plan.equivalence
        delta = None if margin is None else self.scale.bound(margin)
        correction, comparisons = self._decide(compared, delta)
        rows, interactions, simple = factorial(self, compared)
        samples = [compared.sample([label]) for label in varying(compared, list(self.arms))]
        return Effects(
            comparisons=collapse.bounded(self, comparisons, self.endings),
            correction=correction,
            delta=delta,
            scale=self.scale,
            levels={
                (factor, level): self.runs.sample(labels)
                for factor in self.factors
                for level, labels in self.by_level(factor).items()
            },
            arms={label: self.runs.sample([label]) for label in self.arms},
            anova=rows,
            interactions=interactions,
            simple=simple,
            spreads=tuple(sample.sd for sample in samples if sample.n > 1),
            alike=bartlett(samples),
        )

    @cached_property
    def endings(self) -> dict[tuple[str, int], str]:
        """(arm, seed) → whether it trained, collapsed or diverged, or that this is unknown."""
        return endings.endings(self)

    @cached_property
    def collapse(self) -> Collapse | None:
        """How often runs did not train; None where, as far as is known, all did."""
        compared = self.runs.on(self.scale)
        return collapse.collapse(
            self, compared, self.endings, lambda trained: self._decide(trained, None)[1]
        )

    @cached_property
    def by_other_metrics(self) -> tuple[ByMetric, ...]:
        """The same comparisons by every other metric that was stored."""
        return by_other_metrics(
            self, lambda other, higher: self._decide(other, None, higher_is_better=higher)[1]
        )

    def _decide(
        self, compared: Runs, delta: float | None, *, higher_is_better: bool | None = None
    ) -> tuple[str, tuple[Comparison, ...]]:
        """Compare runs with the baseline; see ``comparisons.compare``."""
        if self.series is not None:
            series = self._follow(compared, delta)
            return series.correction, series.comparisons
        decide = looks.always_valid if self.earlier_looks else compare
        higher = self.plan.higher_is_better if higher_is_better is None else higher_is_better
        return decide(self, compared, delta=delta, higher_is_better=higher)

    def _follow(self, compared: Runs, delta: float | None) -> Series:
        return declared_looks.follow(
            self,
            compared,
            declared_looks.measured(self),
            at=self.plan.looks,
            delta=delta,
            higher_is_better=self.plan.higher_is_better,
        )

    @cached_property
    def _declared(self) -> Series | None:
        """What the looks of the plan have come to, if they were all that there were."""
        margin, compared = self.plan.equivalence, self.runs.on(self.scale)
        delta = None if margin is None else self.scale.bound(margin)
        return self._follow(compared, delta) if self.plan.looks else None

    @cached_property
    def series(self) -> Series | None:
        """What was decided at declared looks; None without, or if there were others before."""
        return None if self.earlier_looks else self._declared

    @cached_property
    def look(self) -> ReportedLook | None:
        """What a report of these results is a look at; None where nothing can be compared."""
        if self._declared is not None:
            return looks.current(self, self._declared.seeds)
        compared = estimates(self, self.runs.on(self.scale), own_error=True)
        return looks.current(self, max((one.seeds for one in compared if one.testable), default=0))

    @cached_property
    def earlier_looks(self) -> tuple[int, ...]:
        """At which other numbers of seeds they were compared before, without a declaration."""
        if self.look is None:
            return ()
        known = stored_looks.read(self.store)
        return stored_looks.undeclared(known, self.look, complete=looks.complete(self))

    @cached_property
    def planning(self) -> dict[str, Planning]:
        """Name of a comparison → what it can show, and what other numbers of seeds would.

        None at declared looks, since it is for one number of seeds.
        """
        if self.series is not None:
            return {}
        found, any_time = self.effects, bool(self.earlier_looks)
        return planning(
            found.comparisons,
            correction=found.correction,
            delta=found.delta,
            any_time=any_time,
            spoilt=collapse.spoilt(self, found.comparisons, self.endings),
        )

    @cached_property
    def image_claims(self) -> dict[str, ImageClaim]:
        """Name of a comparison → what it says of other images than those evaluated.

        None after an undeclared look and at declared ones: these tests are for one look alone.
        """
        if self.earlier_looks or self.plan.looks:
            return {}
        found, higher = self.effects, self.plan.higher_is_better
        compared, runs = found.comparisons, self.runs
        return image_claims(self, runs, compared, delta=found.delta, higher_is_better=higher)

    @cached_property
    def image_intervals(self) -> dict[str, ImageInterval]:
        """Arm → interval of its score over other images than those evaluated."""
        return image_intervals(self)

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """How certain the order of the arms is: over seeds, and over images if these are stored."""
        return rankings(self, self.runs, self.image_intervals)

    @cached_property
    def untuned(self) -> Analysis | None:
        """The same arms with the file's own values of what is tuned, if anything is."""
        plan = tuning.untuned_plan(self.plan)
        return None if plan is None else of_plan(self.store, plan)

    @cached_property
    def tried(self) -> dict[Values, Analysis]:
        """Values, rising → the arms with them, and with the seeds of tuning."""
        refuse = tuning.other_values(self.store, self.plan)
        plans = tuning.plans_tried(self.plan)
        return {values: of_plan(self.store, one, refuse) for values, one in plans.items()}

    @cached_property
    def searches(self) -> tuple[Search, ...]:
        """What tuning gave for each arm."""
        return tuning.searches(self, self.tried, self.untuned)

    @cached_property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """Where each verdict on tuned arms holds; none until all arms are tuned."""
        if self.plan.tuning is None or self.untuned is None or not self.plan.tuning.chosen:
            return ()
        return tuned_verdicts.conclusions(
            self,
            self.effects.comparisons,
            self.untuned.effects.comparisons,
            {values: one.runs.on(self.scale) for values, one in self.tried.items()},
            self.searches,
            delta=self.effects.delta,
        )

    def cell_means(self, first: str, second: str) -> dict[tuple[str, str], Sample]:
        """Return (level of one factor, level of another) → mean over seeds, on the scale.

        In a full factorial, lines through them are parallel if there is no interaction.
        """
        one, other = self.by_level(first), self.by_level(second)
        compared = self.runs.on(self.scale)
        return {
            (a, b): compared.sample([label for label in one[a] if label in other[b]])
            for a, b in itertools.product(one, other)
        }


def load(store: Store, *, refuse: Refuse = lambda record: None) -> Analysis:
    """Read a results folder; UserError if it holds no experiment, or plan or looks are damaged.

    A record of which ``refuse`` says why it is none of these results counts as not there.
    """
    stored_looks.read(store)
    return Analysis(**vars(loading.load(store, refuse=refuse)))


def of_plan(store: Store, plan: Plan, refuse: Refuse = lambda record: None) -> Analysis:
    """Read what a results folder holds of a plan, which need not be the one stored there."""
    return Analysis(**vars(loading.of_plan(store, plan, refuse=refuse)))
