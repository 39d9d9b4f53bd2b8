"""Stages of an experiment with declared looks: the trials up to the next look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis import analysis
from bench.analysis.effects.declared_looks import Series
from bench.errors import UserError
from bench.experiment import design, plan
from bench.experiment.config import Experiment
from bench.experiment.reconcile import Stale
from bench.experiment.stage import Stage
from bench.experiment.trial import Trial
from bench.store.folder import Store

LOOKED_BEFORE = (
    "results were reported at other numbers of seeds before these looks were declared: all seeds "
    "are measured, and verdicts are such that hold whenever one looks"
)


def check_folds(experiment: Experiment) -> None:
    """Refuse looks at runs that differ in their training images too; the bounds are not theirs."""
    for arm in design.arms(experiment):
        data = arm.settings.data
        if data.for_seed(0) != data:
            raise UserError(
                f"{experiment.name}: seeds: no looks with a fold for each seed (fold: seed), as "
                "training sets of folds overlap; give a number of seeds"
            )


def to_next_look(
    experiment: Experiment, trials: Sequence[Trial], store: Store, accepted: Mapping[str, Stale]
) -> Stage:
    """Return the trials up to the next look, of the arms about which something is open."""
    name, at = experiment.name, experiment.looks
    everything = plan.describe(experiment, trials, "", accepted, folder=store.folder)
    found = analysis.of_plan(store, everything)
    series = found.series
    if series is None:  # the bounds hold no longer, whatever stops it
        return Stage(list(trials), look=found.look, said=LOOKED_BEFORE)
    if not series.followed:
        raise UserError(
            f"{name}: seeds: looks decide comparisons with the baseline, and there are none; give "
            "a number of seeds"
        )
    kept = [
        one
        for one, labelled in zip(trials, everything.labelled(), strict=True)
        if one.seed < series.planned[labelled.label]
    ]
    following = series.following
    return Stage(
        kept,
        name=f"look {at.index(following) + 1} of {len(at)}, with {following} seeds",
        more=series.more,
        more_when=f"for what is open after {following} seeds",
        look=found.look,
        said=_decided(series),
    )


def _decided(series: Series) -> str:
    """Say what the last look decided; nothing before the first."""
    if not series.look:
        return ""
    now = [one for one in series.followed if one.seeds == series.seeds]
    decided = [f"{one.estimate.name} is {one.verdict}" for one in now if not one.open]
    left = [one.estimate.name for one in now if one.open]
    still = "inconclusive" if series.over else "open"
    parts = [", ".join(decided), f"{still}: {', '.join(left)}" if left else ""]
    where = f"look {series.look} of {len(series.at)}, with {series.seeds} seeds"
    return f"{where}: {'; '.join(filter(None, parts))}"
