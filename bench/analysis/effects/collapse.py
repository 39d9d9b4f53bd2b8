"""How often runs of each arm did not train, whether arms differ in it, and how the others score."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.endings import COLLAPSED, DIVERGED
from bench.analysis.effects.estimates import Question, questions_of
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import families
from bench.analysis.stats.proportions import clopper_pearson, exact_test
from bench.analysis.stats.verdicts import EQUIVALENT, INCONCLUSIVE
from bench.store.frame import Results

Ended = Mapping[tuple[str, int], str]  # (arm, seed) → ``endings``
Decide = Callable[[Runs], Iterable[Comparison]]


@dataclass(frozen=True)
class Outcomes:
    """How some runs ended; of those that are ``unknown`` there are no counts to tell by."""

    trained: int = 0
    collapsed: int = 0
    diverged: int = 0
    unknown: int = 0

    @property
    def failed(self) -> int:
        """How many did not train."""
        return self.collapsed + self.diverged

    @property
    def runs(self) -> int:
        """How many there are of which it is known."""
        return self.trained + self.failed

    @property
    def bounds(self) -> tuple[float, float]:
        """The 95 % interval of the probability that a run does not train."""
        return clopper_pearson(self.failed, self.runs)


@dataclass(frozen=True)
class CollapseTest:
    """Whether runs fail to train more often at a level than at the baseline's."""

    name: str
    level: Outcomes
    baseline: Outcomes
    p: float  # exact, NaN where no run of either failed
    p_adjusted: float = math.nan  # by Holm's method


@dataclass(frozen=True)
class Collapse:
    """What there is to say where some run did not train."""

    arms: Mapping[str, Outcomes]  # label, in the order of the plan
    seeds: Mapping[str, tuple[int, ...]]  # label → those that did not train
    tests: tuple[CollapseTest, ...]
    trained: tuple[Comparison, ...]  # of the runs that trained alone, as another experiment


def bounded(results: Results, found: Iterable[Comparison], ended: Ended) -> tuple[Comparison, ...]:
    """Return comparisons, "equivalent" refused where runs of either side did not train.

    It is refused too where that is not known of all of them. Where all trained, the claim is about
    means of such runs, and says how many may still not train.
    """
    known = sides(results, ended)

    def decide(one: Comparison) -> Comparison:
        if one.verdict != EQUIVALENT or not ended:
            return one
        both = total(known[one.factor, one.level])
        if both.failed:
            reason = f"{both.failed} of {both.runs} runs did not train"
        elif both.unknown:
            reason = f"whether {both.unknown} of the runs trained is not known"
        else:
            return one
        return dataclasses.replace(one, verdict=INCONCLUSIVE, reason=reason)

    return tuple(map(decide, found))


def spoilt(results: Results, found: Iterable[Comparison], ended: Ended) -> set[str]:
    """Return the names of comparisons whose error comes from runs of which some did not train."""
    known = sides(results, ended)
    anywhere = outcomes(results.arms, ended).failed
    return {
        one.name
        for one in found
        if (anywhere if one.pooled else total(known[one.factor, one.level]).failed)
    }


def collapse(results: Results, runs: Runs, ended: Ended, decide: Decide) -> Collapse | None:
    """Return how often runs did not train; None where, as far as is known, all did.

    ``decide`` compares runs with the baseline.
    """
    failed = [run for run, how in ended.items() if how in (COLLAPSED, DIVERGED)]
    if not failed:
        return None
    asked = [one for one in questions_of(results) if one.pairs]
    tests = [_test(one, ended) for one in asked]
    adjusted = families.holm([one.p for one in tests])
    kept = {label: row.copy() for label, row in runs.scores.items()}
    for arm, seed in failed:
        kept[arm][runs.seeds.index(seed)] = math.nan
    trained = tuple(decide(Runs(kept, runs.seeds)))
    return Collapse(
        arms={label: outcomes([label], ended) for label in results.arms},
        seeds={label: tuple(s for arm, s in failed if arm == label) for label in results.arms},
        tests=tuple(
            dataclasses.replace(one, p_adjusted=p) for one, p in zip(tests, adjusted, strict=True)
        ),
        trained=tuple(
            dataclasses.replace(one, reason=one.reason.replace("finished", "trained"))
            for one in trained
        ),
    )


def sides(
    results: Results, ended: Ended
) -> dict[tuple[str | None, str], tuple[Outcomes, Outcomes]]:
    """Return (factor, level) of a comparison → how its runs ended, and the baseline's."""
    return {asked.names[:2]: _sides(asked, ended) for asked in questions_of(results)}


def outcomes(arms: Iterable[str], ended: Ended) -> Outcomes:
    """Count how the runs of some arms ended."""
    own = set(arms)
    return Outcomes(**Counter(how for (arm, _), how in ended.items() if arm in own))


def total(parts: Iterable[Outcomes]) -> Outcomes:
    """Add up how runs ended."""
    counts = Counter[str]()
    for one in parts:
        counts.update(dataclasses.asdict(one))
    return Outcomes(**counts)


def _sides(asked: Question, ended: Ended) -> tuple[Outcomes, Outcomes]:
    """Return how the runs of a level ended, and those of the baseline under the same settings."""
    below, above = ([pair[side] for pair in asked.pairs] for side in (0, 1))
    return outcomes(above, ended), outcomes(below, ended)


def _test(asked: Question, ended: Ended) -> CollapseTest:
    """Compare how often runs fail to train, under each setting of the other factors."""
    strata = []
    for below, above in asked.pairs:
        own, other = outcomes([above], ended), outcomes([below], ended)
        strata.append(((own.failed, own.runs), (other.failed, other.runs)))
    level, baseline = _sides(asked, ended)
    p = exact_test(strata) if level.failed + baseline.failed else math.nan
    factor, name, _ = asked.names
    return CollapseTest(name if factor is None else f"{factor} = {name}", level, baseline, p)
