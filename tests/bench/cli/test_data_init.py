"""``data init`` from the outside: it asks, writes once, and its next commands work as printed."""

import shlex

import numpy as np
import pytest
import typer
from PIL import Image

SHAPE = (32, 32)


@pytest.fixture
def camvid(here):
    """A folder like CamVid's: values 0 to 11, of which 11 is void, and lists with two columns."""
    for number, (split, count) in enumerate({"train": 3, "val": 2}.items()):
        lines = []
        for i in range(count):
            rng = np.random.default_rng([number, i])
            paths = f"{split}/{i}.png", f"{split}annot/{i}.png"
            image = rng.integers(0, 256, (*SHAPE, 3), np.uint8)
            mask = rng.permutation(12).repeat(2)[:, None].repeat(32, 1)[:24].astype(np.uint8)
            for path, array in zip(paths, (image[:24], mask), strict=True):
                (here / "camvid set" / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(here / "camvid set" / path)
            lines.append(" ".join(f"/SegNet/CamVid/{path}" for path in paths))
        (here / "camvid set" / f"{split}.txt").write_text("\n".join(lines))
    return here / "camvid set"


def test_what_is_printed_at_the_end_works(camvid, bench):
    before = {path.relative_to(camvid) for path in camvid.rglob("*")}
    status, out, err = bench("data", "init", camvid.name, "--yes")
    assert (status, err) == (0, "")
    assert {path.relative_to(camvid) for path in camvid.rglob("*")} - before == {
        (camvid / "classes.yaml").relative_to(camvid)
    }
    check, run = (shlex.split(line) for line in out.splitlines()[-2:])
    assert check[:5] == ["python", "-m", "bench", "data", "check"]
    status, out, err = bench(*check[3:])
    assert (status, err) == (0, "")
    assert "train: 3 images (3 × 24×32), void 8.3%" in out
    assert len([line for line in out.splitlines() if line.startswith("class_")]) == 11
    assert run[:4] == ["python", "-m", "bench", "run"]
    assert bench(*run[3:], "--dry-run", "--device", "cpu")[0] == 0


def test_images_in_no_splits_are_dealt_out_to_folds(camvid, bench):
    for split in ("train", "val"):
        (camvid / f"{split}.txt").unlink()
    for kind in ("", "annot"):
        (camvid / f"val{kind}").rename(camvid / f"more{kind}")
        for path in (camvid / f"more{kind}").iterdir():
            path.rename(camvid / f"train{kind}" / f"more_{path.name}")
    status, out, err = bench("data", "init", camvid, "--yes")
    assert (status, err) == (0, "")
    assert (
        "images with masks: 5 all\nthey are in no splits: `folds: {count: 5}` deals them out" in out
    )
    check, run = (shlex.split(line) for line in out.splitlines()[-2:])
    status, out, err = bench(*check[3:])
    assert (status, err) == (0, "")
    assert out.startswith("train: 4 images (4 × 24×32)")
    assert bench(*run[3:], "--dry-run", "--device", "cpu")[0] == 0


def test_nothing_is_written_without_a_yes(camvid, bench, monkeypatch):
    status, out, _ = bench("data", "init", camvid)
    assert status == 0
    assert out.endswith("nothing is written; with --yes, it is\n")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr(typer, "confirm", asked.append)
    status, out, _ = bench("data", "init", camvid)
    assert (status, asked) == (0, [f"Write {camvid / 'classes.yaml'}?"])
    assert out.endswith("nothing is written\n")
    assert not (camvid / "classes.yaml").exists()
    monkeypatch.setattr(typer, "confirm", lambda text: True)
    assert bench("data", "init", camvid)[0] == 0
    assert (camvid / "classes.yaml").exists()


def test_a_classes_file_is_not_replaced(camvid, bench):
    (camvid / "classes.yaml").write_text("mine")
    status, out, err = bench("data", "init", camvid, "--yes")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {camvid / 'classes.yaml'}: exists already")
    assert (camvid / "classes.yaml").read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(here, bench):
    status, _, err = bench("data", "init", "camvit")
    assert (status, err) == (2, "error: camvit: no such folder\n")
