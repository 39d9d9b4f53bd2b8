"""Stores of experiments whose arms were tuned, of the same records as ``made_stores``."""

from bench.store.plans import Tuned, Tuning, TuningTrial
from tests.bench import made_stores

RATE = "train.learning_rate"
RATES = (0.001, 0.003, 0.01, 0.03)
DEFAULT = 0.01
SEEDS = (100, 101, 102)  # of tuning
REPORTED = (0, 1, 2, 3, 4)


def build(
    real,
    folder,
    *,
    score,
    chosen=(0.003, 0.01),
    edges=(),
    failures=None,
    ended=True,
    rates=RATES,
    seeds=SEEDS,
    reported=REPORTED,
    setting=RATE,
    extend=2,
    split="tune",
    **options,
):
    """Write a results folder.

    Args:
        real: the folder of the real trials.
        score: (arm number, rate, seed) → score.
        chosen: the rate of each arm.
        edges: numbers of the arms whose rate is at the edge.
        failures: (arm number, rate, seed) → status; ``not run`` leaves the record out.
        ended: whether rates are chosen; otherwise the trials are those with the default.
        options: those of ``made_stores.build``.
    """
    failures, arms = failures or {}, range(len(chosen))

    def part(prefix, own, seeds):
        """Write the trials of all arms, each with its own rate; return them as planned."""
        cells = [(arm, seed) for arm in arms for seed in seeds]
        store = made_stores.build(
            real,
            folder,
            **{
                **options,
                "prefix": prefix,
                "settings": {arm: {setting: own[arm]} for arm in arms},
                "seeds": seeds,
                "values": {(a, s): score(a, own[a], s) for a, s in cells},
                "failures": {
                    (a, s): failures[a, own[a], s] for a, s in cells if (a, own[a], s) in failures
                },
            },
        )
        return store.read_plan().trials

    trials = []
    for number, rate in enumerate(rates):
        planned = part(f"t{number}-", [rate] * len(arms), seeds)
        trials += [
            TuningTrial(values={setting: rate}, **one.model_dump(exclude={"stale"}))
            for one in planned
        ]
    defaults = part("d", [DEFAULT] * len(arms), reported)
    planned = part("k", chosen, reported) if ended else defaults
    store = made_stores.Store(folder)
    found = [
        Tuned(arm=one.arm, label=one.label, values={setting: rate}, at_edge=number in edges)
        for number, (one, rate) in enumerate(zip(planned, chosen, strict=False))
    ]
    tuning = Tuning(
        grid={setting: tuple(rates)},
        seeds=seeds,
        split=split,
        extend=extend,
        trials=tuple(trials),
        chosen=tuple(found) if ended else (),
        defaults=defaults,
    )
    update = {"trials": planned, "seeds": reported, "tuning": tuning}
    store.write_plan(store.read_plan().model_copy(update=update))
    return store
