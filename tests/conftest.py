"""Data folders: one made up, for every test; one with the real data, where that is there."""

import functools
import gc
import os
from pathlib import Path

# Before torch is imported: its threads do not wait by spinning for long, so that tests stay quick
# on a machine that has other work too. And albumentations does not look for a newer version.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest

from bench.machine import limits
from tests.shared import once

# What takes long to import is imported by who needs it: pytest-xdist's first process needs none.

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = "msrc_v2_trainval.tar.xz"
# Thousands of tests make far more that lives for long than the collector is set up for.
gc.set_threshold(50_000, 20, 50)
SEPARATE = {"benchmarks", "simulations"}  # folders that a tox environment of their own runs
DRAWN = {f"tests/bench/report/test_{name}.py" for name in ("figures", "html", "page", "write")}
LONG = DRAWN | {"tests/chaos/test_chaos.py", "tests/test_example_package.py"}
STREETS = {"road": (128, 64, 128), "car": (0, 0, 142), "sky": (70, 130, 180)}


def pytest_ignore_collect(collection_path, config):
    """Leave out what takes long or wants a quiet machine, unless it is asked for by name."""
    name = collection_path.name
    asked_for = any(name in Path(argument.split("::")[0]).parts for argument in config.args)
    return True if name in SEPARATE and not asked_for else None


def pytest_collection_modifyitems(items):
    """Begin with what takes long, so that no process is still at it when the others are done."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in LONG)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one process run all tests of a file, and of all files that share drawn figures."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class WithFigures(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "figures" if file in DRAWN else file

    return WithFigures(config, log)


@pytest.fixture(autouse=True)
def _one_thread():
    """Let torch compute in one thread again, whatever the test before has measured with.

    Small networks are no faster with several, which wait for each other: ten times slower where
    another process of the tests is busy.
    """
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _one_core():
    """Measure in this process, as on a machine of one core, unless a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_power_cut():
    """Let files that tests write reach the disk whenever they do: to wait for it takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Return the folder that all processes of a run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def real_data(shared_folder):
    """Return a data folder with MSRC-v2 (train and val) and ISBI-2012, or skip the test."""
    from bench.data.datasets import msrc_v2

    named = os.environ.get("BENCH_DATA")
    places = [Path(named).resolve()] if named else []
    for place in [*places, ROOT.parent / "shared" / "data"]:
        if not (place / "isbi2012" / "train-volume.tif").is_file():
            continue
        if (place / msrc_v2.FOLDER).is_dir():
            return place
        if (place / ARCHIVE).is_file():
            return once(shared_folder / "real_data", functools.partial(install_real_data, place))
    pytest.skip(f"no real data: neither {ARCHIVE} in ../shared/data, nor anything in $BENCH_DATA")


def install_real_data(place, root):
    from bench.data.datasets import msrc_v2

    (root / "isbi2012").symlink_to(place / "isbi2012")
    msrc_v2.install(root, [place / ARCHIVE])


@pytest.fixture(scope="session")
def made_up_data(shared_folder):
    """Return a data folder with tiny files for every dataset that has any. Not to be changed."""
    return once(shared_folder / "made_up_data", write_data)


def write_data(root):
    import numpy as np

    rng = np.random.default_rng(0)
    write_msrc(root, rng)
    write_isbi(root, rng)
    write_streets(root / "streets", rng)


def write_msrc(root, rng, splits=("train", "val", "test")):
    import numpy as np
    from PIL import Image

    from bench.data.datasets import msrc_v2

    colours = np.array([*msrc_v2._VOID.values(), *msrc_v2._CLASSES.values()], dtype=np.uint8)
    for kind in ("Images", "GroundTruth"):
        (root / msrc_v2.FOLDER / kind).mkdir(parents=True)
    for split in splits:
        for name in msrc_v2.split_names(split):
            image = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
            mask = colours[rng.integers(0, len(colours), (4, 6))]
            Image.fromarray(image).save(root / msrc_v2.FOLDER / "Images" / name)
            Image.fromarray(mask).save(msrc_v2._mask_file(root / msrc_v2.FOLDER, name))


def write_isbi(root, rng):
    import numpy as np
    from PIL import Image

    (root / "isbi2012").mkdir()
    stacks = {
        "volume": rng.integers(0, 256, (30, 5, 7), dtype=np.uint8),
        "labels": 255 * rng.integers(0, 2, (30, 5, 7), dtype=np.uint8),
    }
    for kind, stack in stacks.items():
        pages = [Image.fromarray(page) for page in stack]
        file = root / "isbi2012" / f"train-{kind}.tif"
        pages[0].save(file, save_all=True, append_images=pages[1:])


def write_streets(folder, rng):
    """Two training and one validation image of different sizes, with coloured masks."""
    import numpy as np
    from PIL import Image

    colours = np.array([*STREETS.values(), (0, 0, 0)], dtype=np.uint8)
    for name, size in {"train/a": (6, 9), "train/b": (9, 6), "val/c": (7, 7)}.items():
        for kind in ("images", "masks"):
            (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{name}.jpg")
        mask = colours[rng.integers(0, len(colours), size)]
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    (folder / "classes.yaml").write_text(
        f"names: [{', '.join(STREETS)}]\nmasks: palette\n"
        f"colours: {[list(colour) for colour in STREETS.values()]}\nignore: [[0, 0, 0]]\n"
    )
