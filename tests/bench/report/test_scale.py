"""A report over 2,000 stored trials: how long it takes, how much memory, how large the page.

Not among the quick tests: ``tox -e scale`` runs it.
"""

import itertools
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.bench.made_stores import details_json

FACTORS = {
    "train.loss": ["ce", "dice", "dice+ce", "smp:focal", "smp:lovasz"],
    "train.crop_size": [96, 128, 160, 192, 208],
    "model.upsampling": ["bilinear", "transposed"],
    "train.augmentation": ["none", "flips", "paper", "colour"],
}
ARMS, SEEDS, IMAGES, CLASSES, EPOCHS = 200, 10, 59, 21, 20


@pytest.fixture
def large_store(make_store, made_up_counts):
    """Return the store; details are those of 20 trials over and over, which is quicker to write."""
    options = {"classes": CLASSES, "epochs": EPOCHS, "images": 2, "counted": 0}
    store = make_store(factors=FACTORS, seeds=range(SEEDS), **options)
    keys = sorted(store.keys())
    for first in keys[:20]:
        rng = np.random.default_rng(int(first[1:5]))
        details = details_json(store, first)
        counts = made_up_counts(CLASSES, IMAGES, 0.5, rng)
        store.commit(store.read(first), {"history": details["history"], **counts})
    for key, first in zip(keys[20:], itertools.cycle(keys[:20]), strict=False):
        content = (store.folder / "details" / f"{first}.json").read_bytes()
        (store.folder / "details" / f"{key}.json").write_bytes(content)
    return store


@pytest.mark.scale
def test_a_report_over_2000_trials_stays_small_and_quick(large_store, capsys):
    assert len(large_store.keys()) == ARMS * SEEDS
    folder = large_store.folder
    command = [sys.executable, "-m", "bench", "report", "--results", str(folder.parent)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # GiB: KiB on Linux
    page = (folder / "report" / "report.html").stat().st_size / 1e6
    with capsys.disabled():
        print(f"\n{seconds:.1f} s, {memory:.2f} GiB, {page:.2f} MB")  # noqa: T201
    assert seconds < 20
    assert memory < 1
    assert page < 5
