"""What a run with a budget measures first: what decides most for its time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from bench.experiment import design, plan
from bench.experiment.config import Experiment
from bench.experiment.stage import Stage
from bench.experiment.trial import Trial
from bench.measurements import MEASUREMENTS


def first_things_first(
    experiment: Experiment,
    stage: Stage,
    wanted: Collection[str],
    begun: Callable[[str], bool] = lambda key: False,
) -> list[Trial]:
    """Return the trials of which ``wanted`` has the key, in the order to measure them in.

    A comparison is of runs with the same seed, so all arms come with one seed before any comes with
    the next: first the seed of which the fewest trials are left. Within it the baseline, with which
    the others are compared, is first, and then the trials that are ``begun``, by key.

    What is reported precedes what is shown beside it. While values are being tuned, only those
    trials are returned by which they are chosen: nothing is reported before. What is timed keeps
    its balanced order, which goes seed by seed too.
    """
    if MEASUREMENTS[experiment.measure].shuffled:
        order = plan.measuring_order(experiment, stage.trials)
        return [trial for trial in order if trial.key in wanted]
    tuning = stage.tuning
    if tuning is not None and not tuning.chosen:
        choosing = {trial.key for trial in tuning.trials}
        return [one for one in stage.trials if one.key in choosing and one.key in wanted]
    baseline = design.baseline(experiment)

    def rank(trial: Trial) -> tuple[bool, bool]:
        return dict(trial.arm.levels) != baseline, not begun(trial.key)

    parts = [stage.reported, stage.others]
    found = [
        trial
        for part in parts
        for own in _rounds([one for one in part if one.key in wanted])
        for trial in sorted(own, key=rank)
    ]
    return list({trial.key: trial for trial in found}.values())


def _rounds(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Yield the trials of each seed, the smallest number of them first."""
    by_seed: dict[int, list[Trial]] = {}
    for trial in trials:
        by_seed.setdefault(trial.seed, []).append(trial)
    yield from sorted(by_seed.values(), key=len)
