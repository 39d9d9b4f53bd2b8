"""Images and masks that are wrong stop a run before it stores anything, with a line for a cause."""

import cv2
import numpy as np
import pytest

from bench.__main__ import main

EXPERIMENT = """
name: small
data: {name: folder, path: own}
model: {base_channels: 2, depth: 1}
train: {crop_size: 16, batch_size: 2, epochs: 1, threads: 1}
evaluate: {panels: 0, extremes: 0}
seeds: 1
"""
HALVES = np.repeat(np.array([0, 1], np.uint8), 8)[None].repeat(16, 0)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function: masks of training and validation, classes → status, lines of errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    (tmp_path / "small.yaml").write_text(EXPERIMENT)

    def start(train, val, classes="names: [ground, line]"):
        rng = np.random.default_rng(0)
        for split, masks in (("train", train), ("val", val)):
            for kind in ("images", "masks"):
                (tmp_path / "data/own" / kind / split).mkdir(parents=True, exist_ok=True)
            for i, mask in enumerate(masks):
                image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                cv2.imwrite(f"data/own/images/{split}/{i}.png", image)
                cv2.imwrite(f"data/own/masks/{split}/{i}.png", mask)
        (tmp_path / "data/own/classes.yaml").write_text(classes)
        status = main(["run", "small.yaml", "--device", "cpu", "--quiet"])
        return status, capsys.readouterr().err.replace("data/own/", "").splitlines()

    return start


def test_masks_of_0_and_255_with_two_names_are_refused(run, tmp_path):
    status, lines = run(3 * [HALVES * 255], 2 * [HALVES * 255])
    assert status == 2
    (line,) = lines
    assert line == (
        "error: 5 of 5 masks (first masks/train/0.png and masks/train/1.png): value 255 in 50.00% of "
        "their pixels is no class; if masks are 0 and 255, write `names: {0: background, 255: "
        "object}`; `ignore: [255]` if 255 is void"
    )
    assert not (tmp_path / "results").exists()


def test_each_cause_is_a_line(run):
    status, lines = run([HALVES * 7, HALVES[:8], HALVES * 7], [HALVES])
    assert status == 2
    assert [line.partition(":")[0] for line in lines] == ["error", "error"]
    assert "2 of 4 masks" in lines[0]
    assert "masks/train/1.png: 8x16 pixels, its image has 16x16" in lines[1]


def test_a_validation_split_of_one_class_is_refused(run):
    void = "names: [ground, line]\nignore: [255]"
    status, lines = run(2 * [HALVES], [np.where(HALVES, 255, 0).astype(np.uint8)], void)
    assert status == 2
    assert len(lines) == 1
    assert lines[0].startswith(
        "error: data: folder: every pixel of the val split is ground or void"
    )


def test_classes_without_a_pixel_are_warned_of_once(run):
    classes = "names: [ground, line, car, pole]"
    train, val = np.minimum(HALVES * 2, 1) + (HALVES * 0), HALVES * 2
    status, lines = run(2 * [train], [val], classes)
    assert status == 0
    over = "a mean over classes is of 2 of 4, and of what is predicted by mistake"
    assert lines == [
        "warning: folder: no mask has a pixel of pole; are values and names right?",
        "warning: folder: train has no pixel of car: of that, nothing can be learned",
        f"warning: folder: val has no pixel of line: {over}",
    ]
    assert run([], [], classes) == (0, [])  # all is stored, and nothing read
