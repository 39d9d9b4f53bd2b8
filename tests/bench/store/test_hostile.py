"""Input that is broken or means harm: one line that names it, and nothing else happens."""

import os
import string
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.__main__ import main
from bench.data.files import palette
from bench.errors import UserError
from bench.experiment import config

EXPERIMENT = """
name: small
data: {name: scenes, train: 4, val: 2, test: 1, size: 48}
model: {base_channels: 4, depth: 2}
train: {crop_size: 32, batch_size: 2, epochs: 1, learning_rate: 1.0e-2, threads: 1}
evaluate: {panels: 1}
factors: {train.loss: [ce, dice]}
seeds: 1
baseline: {train.loss: ce}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, inside one that nothing may be written to."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("BENCH_DATA", raising=False)
    (tmp_path / "work" / "small.yaml").write_text(EXPERIMENT)
    return tmp_path / "work"


def everything(folder):
    return sorted(path for path in folder.parent.rglob("*"))


# fmt: off
NUMBERS = {
    "no number": ("train.learning_rate=.nan", "train.learning_rate"),
    "no end": ("train.learning_rate=.inf", "finite number"),
    "no end in an option": ("train.gradient_clip=.inf", "finite number"),
    "a number of many bits": ("train.epochs=" + "9" * 40, "more than 64 bits"),
    "a number of too many digits": ("train.epochs=" + "9" * 5000, "not readable as YAML"),
    "a network of many channels": ("model.base_channels=1000000000", "model.base_channels"),
    "a huge crop": ("train.crop_size=1000000000", "train.crop_size"),
    "huge scenes": ("data.size=1000000000", "data.size"),
    "scenes without end": ("data.train=1000000000", "data.train"),
    "seeds without end": ("seeds=1000000000000", "seeds: 1000000000000 are more than"),
    "too many trials": ("factors={train.epochs: %s, train.crop_size: %s}" % ((list(range(32, 2000)),) * 2), "trials; at most"),
    "too many trials one at a time": ("{design: one_at_a_time, seeds: 500000, factors: {train.epochs: [1, 2, 3]}}", "factors: they make 1500000 trials; at most 1000000"),
    "too many included": ("{seeds: 300000, include: [{train.epochs: 5}, {train.epochs: 6}]}", "factors and include: they make 1200000 trials; at most"),
    "threads without end": ("train.threads=100000000", "train.threads"),
    "a date": ("factors.train.loss=[2020-01-01]", "dates are not taken"),
    "a tag": ("question=!!python/name:os.system x", "tags"),
    "a harmless tag": ("question=!!str x", "tags"),
    "bytes": ("question=!!binary aGk=", "tags"),
    "half a character": ('question="\\ud800"', "half a character"),
    "a name that leads out": ("name=..", "name: "),
    "a name that leads out further": ("name=../x", "name: "),
    "a name that leads anywhere": ("name=/tmp/x", "name: "),
    "a name of two lines": ('name="a\\nb"', "name: "),
    "a name that ends its line": ('name="a\\n"', "name: "),
    "a name that is the list of experiments": ("name=Index.HTML", "name: 'Index.HTML' is the page that lists"),
    "a name that is HTML": ("name=<b>a</b>", "name: "),
    "no name": ('name=""', "name: "),
    "a dataset elsewhere": ("data.name=../datasets", "unknown dataset"),
    "a dataset that is a module": ("data.name=os", "unknown dataset"),
    "a folder with a zero": ('data={name: folder, path: "a\\0b"}', "no such folder"),
    "a program for a transform": ("train.augmentation={__class_fullname__: os.system, command: touch x}", "augmentation"),
    "a program in a pipeline": ("train.augmentation={__version__: '2', transform: {__class_fullname__: subprocess.Popen, args: [touch, x]}}", "augmentation"),
    "an argument that a transform does not know": ("train.augmentation={__class_fullname__: HorizontalFlip, pp: 1}", "augmentation"),
}
# fmt: on


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_setting_that_means_harm_is_refused(here, capsys, kind):
    setting, message = NUMBERS[kind]
    before = everything(here)
    if setting.startswith("{"):  # several settings that are harmless alone
        (here / "more.yaml").write_text(f"{{extends: small.yaml, {setting[1:]}")
        before = everything(here)
        command = ["run", "more.yaml"]
    else:
        command = ["run", "small.yaml", "--set", setting]
    assert main([*command, "--set", "baseline={}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert everything(here) == before


FILES = {
    "a file that extends itself in a ring": "ring",
    "files that extend each other more and more": "bomb",
    "a device": "device",
    "a pipe": "pipe",
    "a name with a zero": "zero",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no devices among files here")
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_means_harm_is_refused(here, capsys, kind):
    match FILES[kind]:
        case "ring":
            (here / "x.yaml").write_text("extends: y.yaml\n")
            (here / "y.yaml").write_text("extends: x.yaml\n")
        case "bomb":
            for i in range(30):
                (here / f"x{i}.yaml").write_text(f"extends: [x{i + 1}.yaml, x{i + 1}.yaml]\n")
            (here / "x30.yaml").write_text("name: a\n")
            (here / "x.yaml").write_text("extends: x0.yaml\n")
        case "device":
            (here / "x.yaml").write_text("extends: /dev/zero\n")
        case "pipe":
            os.mkfifo(here / "x.yaml")
        case "zero":
            (here / "x.yaml").write_text('extends: "a\\0b.yaml"\n')
    assert main(["run", "x.yaml"]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "yaml" in err or "/dev/zero" in err
    assert not (here / "results").exists()


def test_what_would_move_the_cursor_is_not_printed(here, capsys):
    assert main(["run", "a\x1b[2J\r\nb.yaml"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "\x1b" not in err
    assert len(err.splitlines()) == 1


SMALL_FOLDER = ["--set", "model.depth=2", "--set", "data={name: folder, path: own}"]


def own_data(here, classes="names: [ground, line]\nignore: [255]", *, mask=None, name="a"):
    """A folder of one's own: one picture for training, and one to validate on."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (here / "data" / "own" / kind / split).mkdir(parents=True)
        image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        cv2.imencode(".png", image)[1].tofile(here / f"data/own/images/{split}/{name}.png")
        labels = np.eye(40, 50, dtype=np.uint8) if mask is None else mask
        cv2.imencode(".png", labels)[1].tofile(here / f"data/own/masks/{split}/{name}.png")
    (here / "data" / "own" / "classes.yaml").write_text(classes)


@pytest.mark.parametrize("split", ["train", "val"])
def test_masks_that_are_void_all_over_are_refused(here, capsys, split):
    own_data(here)
    void = np.full((40, 50), 255, np.uint8)
    cv2.imwrite(str(here / "data" / "own" / "masks" / split / "a.png"), void)
    status = main(["run", "small.yaml", "--quiet", *SMALL_FOLDER])
    lines = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(lines) == 1
    assert f"every pixel of the {split} split is void" in lines[0]
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    "name", ["a\nb", "<script>alert(1)</script>".replace("/", ""), "a..b", "ä|b"]
)
def test_pictures_may_be_called_anything(here, capsys, without_figures, name):
    own_data(here, "names: ['<img src=x onerror=alert(1)>', '../../line']", name=name)
    assert main(["run", "small.yaml", "--quiet", *SMALL_FOLDER]) == 0, capsys.readouterr().err
    assert main(["report"]) == 0
    report = here / "results" / "small" / "report"
    for path in report.glob("*.md"):
        assert "<img src=x" not in path.read_text(encoding="utf-8")
    assert {path.name for path in here.iterdir()} == {"small.yaml", "data", "results"}
    assert {path.name for path in here.parent.iterdir()} == {"work"}


@pytest.mark.skipif(sys.platform != "linux", reason="names are text here")
def test_a_picture_whose_name_is_no_text_is_named(here, capsys):
    own_data(here)
    for kind in ("images", "masks"):
        folder = os.fsencode(here / "data" / "own" / kind / "train")
        os.rename(folder + b"/a.png", folder + b"/a\xff.png")  # noqa: PTH104
    assert main(["run", "small.yaml", *SMALL_FOLDER]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "images" in err


def one_line_each(error):
    """Tell whether every mistake is one line, and none is said twice."""
    lines = [str(one) for one in error.each()]
    return str(error).splitlines() == lines and len(set(lines)) == len(lines)


yaml_text = st.text(alphabet="ab:-[]{}&*!<>|#'\"%@,? \n\t\x00\\1.e~u0d8x", max_size=80)
levels = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ce", "dice", "unet", "scenes", "none"])
    | st.just({"name": "CE", "train.loss": "ce"}),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = ["name", "question", "measure", "metric", "design", "seeds", "factors", "baseline", "include",
        "exclude", "data", "model", "train", "evaluate", "factors.train.loss", "baseline.train.loss",
        "train.loss", "train.schedule", "train.augmentation", "data.size", "model.name", "extends",
        "timing", "equivalence", "labels", "labels.levels", "factors.recipe", "baseline.recipe"]  # fmt: skip


def as_yaml(value):
    """Write a value as flow YAML by hand: the library that reads it does not write it."""
    match value:
        case dict():
            return "{" + ", ".join(f"{as_yaml(k)}: {as_yaml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_yaml, value)) + "]"
        case str() if value and all(c in string.ascii_letters for c in value):
            return value
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case _:
            return str(value)


@settings(deadline=None, max_examples=int(os.environ.get("BENCH_FUZZ", "150")))
@given(st.dictionaries(st.sampled_from(KEYS), levels | yaml_text, max_size=3))
def test_no_settings_raise_anything_but_a_users_mistake(tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp()
    (folder / "fuzz.yaml").write_text(EXPERIMENT)
    try:
        config.load(
            folder / "fuzz.yaml", [f"{key}={as_yaml(value)}" for key, value in changes.items()]
        )
    except UserError as error:
        assert one_line_each(error)  # noqa: PT017


@settings(deadline=None, max_examples=int(os.environ.get("BENCH_FUZZ", "150")))
@given(yaml_text)
def test_no_text_raises_anything_but_a_users_mistake(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        config.load(path)
    assert one_line_each(error.value)


@settings(deadline=None, max_examples=int(os.environ.get("BENCH_FUZZ", "150")))
@given(st.integers(1, 5), st.integers(1, 5), st.booleans(), st.data())
def test_no_mask_raises_anything_but_a_users_mistake(height, width, coloured, data):
    size = height * width * (3 if coloured else 1)
    content = data.draw(st.binary(min_size=size, max_size=size))
    mask = np.frombuffer(content, np.uint8).reshape(
        (height, width, 3) if coloured else (height, width)
    )
    meanings = [(0, 0, 0), (1, 2, 3), (255, 255, 255)] if coloured else [0, 1, 255]
    try:
        labels = palette.to_labels(
            mask, palette.lookup_table(meanings, [0, 1, 255]), source="m.png"
        )
    except UserError as error:
        assert str(error).startswith("m.png: ")  # noqa: PT017
        assert one_line_each(error)  # noqa: PT017
    else:
        assert set(np.unique(labels)) <= {0, 1, 255}
