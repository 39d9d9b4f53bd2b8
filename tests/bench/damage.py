"""What happens to results folders: trials without a result, files that are damaged or gone."""

import contextlib
import itertools

from tests.bench.made_stores import details_json

SEEDS = (0, 1, 2)


def one(status):
    """Return what takes the result of one trial: (arms) → (arm, seed) → status."""
    return lambda arms: {(1, 0): status}


def arm(number, status):
    """Return what takes the results of all trials of an arm."""
    return lambda arms: {(number, seed): status for seed in SEEDS}


def every(seeds, status="not run"):
    """Return what takes the results of all trials with some seeds."""
    return lambda arms: dict.fromkeys(itertools.product(range(arms), seeds), status)


# Name → function: number of arms → (arm number, seed) → status, as `make_store` takes failures.
# What changes which comparisons there are, and what changes only why a trial has no result.
GAPS = {
    "one trial missing": one("not run"),
    "an arm not run": arm(1, "not run"),
    "the baseline failed": arm(0, "failed"),
    "a seed not run": every((1,)),
    "only one trial done": lambda arms: {
        key: state for key, state in every(SEEDS)(arms).items() if key != (0, 0)
    },
    "nothing measured": every(SEEDS),
}
STATES = {
    "complete": lambda arms: {},
    **{f"one {status}": one(status) for status in ("failed", "diverged", "oom")},
    **{f"one {status}": one(status) for status in ("killed", "timeout", "invalid")},
    "an arm out of memory": arm(1, "oom"),
    "a seed failed": every((1,), "failed"),
    "everything failed": every(SEEDS, "failed"),
}
UNFINISHED = {**GAPS, **STATES}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


HARM = {"flipped": flip, "truncated": truncate, "empty": empty, "removed": remove}


def picture(store, key):
    """Return a picture of a trial that has any."""
    return store.folder / store.read(key).accuracy.examples[0].prediction


FILES = {
    "record": lambda store, key: store.record_file(key),
    "details": lambda store, key: store.details_file(key),
    "picture": picture,
}


def take_as_stale(store, key):
    """Let a trial's record be one of other code, taken as it is: its key is not the plan's."""
    record, other = store.read(key), f"{key}older"
    provenance = {**record.provenance, "code": "0123456789"}
    store.commit(
        record.model_copy(update={"key": other, "provenance": provenance}), details_json(store, key)
    )
    for path in (store.record_file(key), store.details_file(key)):
        path.unlink()
    plan = store.read_plan()
    taken = {"key": other, "stale": ("code",)}
    trials = [t.model_copy(update=taken) if t.key == key else t for t in plan.trials]
    store.write_plan(plan.model_copy(update={"trials": tuple(trials)}))


@contextlib.contextmanager
def running(store, keys):
    """Hold claims on trials, and keep an unfinished state of each, as a run does."""
    with contextlib.ExitStack() as held:
        for key in keys:
            assert held.enter_context(store.claim(key)) is not None
            store.write_partial(key, b"state")
        yield
