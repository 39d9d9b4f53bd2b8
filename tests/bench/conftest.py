"""Stores as runs leave them: made of real trials, which are measured once a run."""

import functools

import pytest

from bench.report.document import Document
from tests.bench import made_stores, tuned_stores

LOSS = {"train.loss": ["ce", "dice"]}
SIX = {"train.loss": ["ce", "dice", "dice+ce"], "model.upsampling": ["bilinear", "transposed"]}
MANY = {**SIX, "train.augmentation": ["none", "paper"], "train.crop_size": [128, 208]}
NAUGHTY = ["<script>alert(1)</script>", "a|b", "_x_", "$a$ `c` \\", "*b*\n# 1. x", "w" * 90]

# What a report has to cope with.
EXAMPLES = {
    "two arms": {},
    "one arm": {"factors": {}, "seeds": (0,), "classes": 2, "images": 1},
    "one seed": {"seeds": (4,)},
    "seven arms": {
        "factors": SIX,
        "include": ({"model.name": "smp_unet"},),
        "classes": 21,
        "images": 4,
        "counted": 5,
        "ranked": 2,
        "failures": {(1, 2): "oom", (2, 0): "diverged", **{(3, s): "not run" for s in range(3)}},
        "dropped": {4: 7},
    },
    "24 arms": {"factors": MANY, "classes": 21, "seeds": (0, 1), "failures": {(5, 0): "failed"}},
    "four arms": {
        "factors": {"train.loss": ["ce", "dice"], "train.crop_size": [96, 128]},
        "seeds": (0,),
        "classes": 3,
        "images": 1,
    },
    "one at a time": {"factors": SIX, "design": "one_at_a_time"},
    "a margin": {
        "factors": {"train.loss": ["ce", "dice", "dice+ce"]},
        "equivalence": 0.02,
        # dice is never more than 0.1 points away, and dice+ce not at all.
        "values": {
            (a, s): 0.5 + 0.01 * s + (a == 1) * 0.001 * (s - 1) for a in range(3) for s in range(3)
        },
    },
    "no baseline": {"baseline": {}},
    "nothing run": {"failures": {(a, s): "not run" for a in range(2) for s in range(3)}},
    "all failed": {"failures": {(a, s): "failed" for a in range(2) for s in range(3)}},
    "no history, no panels": {"history": False, "images": 0},
    "naughty names": {
        "name": "a|b <script>alert(1)</script>",
        "question": "# Is *this*\n| safe | <b>?",
        "factors": {"train.loss": NAUGHTY},
        "seeds": (0, 1),
        "failures": {(1, 0): "failed"},
        "rename": {"grass": "<b>|</b>", "tree": "$\\alpha$", "cow": "_cow_", "sky": "1. a"},
    },
    "speeds": {
        "measure": "throughput",
        "factors": {"model.name": ["unet", "smp_unet"], "train.batch_size": [1, 4, 16]},
        "failures": {(2, s): "oom" for s in range(3)} | {(4, 1): "invalid"},
    },
}


@pytest.fixture(scope="session")
def real_trials(shared_folder):
    """Return the folder of the real trials; each kind is measured when it is first asked for."""
    return shared_folder / "real_trials"


@pytest.fixture
def make_store(tmp_path, real_trials):
    """Return a function that writes a store into this test's own folder."""

    def make(folder="results/experiment", **options):
        return made_stores.build(real_trials, tmp_path / folder, **options)

    return make


@pytest.fixture
def without_figures(monkeypatch):
    """Let reports have no figures: drawing them takes most of the time."""
    monkeypatch.setattr(Document, "figures", {})


@pytest.fixture(name="made_up_counts")
def _made_up_counts():
    return made_stores.made_up_counts


@pytest.fixture(scope="session")
def example(tmp_path_factory, real_trials):
    """Return a function: name of an example → its store, which is not to be changed."""

    @functools.cache
    def get(name):
        folder = tmp_path_factory.mktemp("example") / "experiment"
        return made_stores.build(real_trials, folder, **EXAMPLES[name])

    return get


@pytest.fixture(scope="session", params=EXAMPLES)
def every_store(request, example):
    """The stores of all examples, one after the other."""
    return example(request.param)


@pytest.fixture
def make_tuned(tmp_path, real_trials):
    """Return a function that writes a store of tuned arms into this test's own folder."""

    def make(folder="results/tuned", **options):
        small = {"images": 0, "classes": 3, "history": False, **options}
        return tuned_stores.build(real_trials, tmp_path / folder, **small)

    return make
