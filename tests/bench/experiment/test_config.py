"""YAML → Experiment: what is taken, and the one line for everything that is not."""

import json
from pathlib import Path

import pytest
import yaml

from bench.errors import UserError
from bench.experiment import config, design

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
SMALL = """
name: small
data: {name: scenes}
model: {base_channels: 4, upsampling: bilinear}
train: {loss: dice, epochs: 1}
factors:
  train.loss: [ce, dice]
  model.upsampling: [bilinear, transposed]
seeds: 2
baseline: {train.loss: ce, model.upsampling: bilinear}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="experiment.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_becomes_an_experiment(write):
    experiment = config.load(write(SMALL))
    assert experiment.seeds == [0, 1]
    assert experiment.train.loss == "dice"
    assert experiment.train.schedule.step_size == 10  # a default
    assert experiment.factors["train.loss"] == ["ce", "dice"]


def test_a_margin_is_optional(write):
    assert config.load(write(SMALL)).equivalence is None
    assert config.load(write(SMALL + "equivalence: 0.02\n")).equivalence == 0.02


def test_numbers_that_yaml_reads_as_text_are_numbers(write):
    text = SMALL.replace("epochs: 1}", "epochs: 1, learning_rate: 1e-2}")  # YAML 1.1: a string
    assert config.load(write(text)).train.learning_rate == 0.01


def test_extends_lays_one_file_over_another(write):
    write(SMALL, "parent.yaml")
    child = write(
        "extends: parent.yaml\nname: child\ntrain: {epochs: 7}\nseeds: [5]\n", "child.yaml"
    )
    experiment = config.load(child)
    assert (experiment.name, experiment.train.epochs, experiment.seeds) == ("child", 7, [5])
    assert experiment.train.loss == "dice"
    assert list(experiment.factors) == ["train.loss", "model.upsampling"]


def test_of_several_parents_the_later_wins(write):
    write(SMALL, "first.yaml")
    write("train: {epochs: 5, batch_size: 9}\n", "second.yaml")
    child = write("extends: [first.yaml, second.yaml]\ntrain: {epochs: 6}\n", "child.yaml")
    train = config.load(child).train
    assert (train.loss, train.batch_size, train.epochs) == ("dice", 9, 6)


def test_extending_replaces_factors_whole(write):
    write(SMALL, "parent.yaml")
    child = write(
        "extends: parent.yaml\nname: child\nfactors: {train.epochs: [1, 2]}\nbaseline: {}\n"
    )
    assert config.load(child).factors == {"train.epochs": [1, 2]}


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("train.epochs=3", lambda e: e.train.epochs == 3),
        ("train.schedule.gamma=0.5", lambda e: e.train.schedule.gamma == 0.5),
        ("seeds=[4, 5]", lambda e: e.seeds == [4, 5]),
        (
            "factors.train.loss=[ce, dice+ce]",
            lambda e: e.factors["train.loss"] == ["ce", "dice+ce"],
        ),
        ("data.void=class", lambda e: e.data.void == "class"),
        ("name=other", lambda e: e.name == "other"),
    ],
)
def test_set_changes_one_setting(write, override, read):
    assert read(config.load(write(SMALL), [override]))


BROKEN = {
    "unknown key": ("epochs: 1", "epohcs: 1", "train: unknown key 'epohcs'; did you mean 'epochs'?"),
    "unknown section": ("seeds: 2", "sedes: 2", "unknown key 'sedes'; did you mean 'seeds'?"),
    "wrong type": ("epochs: 1", "epochs: many", "train.epochs: Input should be a valid integer"),
    "a switch for a number": ("epochs: 1", "epochs: yes", "train: epochs: a number is wanted, not a switch (got true: on or off)"),
    "a switch for a fraction": ("epochs: 1", "learning_rate: off", "train: learning_rate: a number is wanted, not a switch (got false"),
    "a switch for a seed": ("seeds: 2", "seeds: [0, true]", "seeds: a number is wanted, not a switch"),
    "a switch for seeds": ("seeds: 2", "seeds: on", "seeds: a number is wanted, not a switch"),
    "a switch for a margin": ("seeds: 2", "seeds: 2\nequivalence: true", "equivalence: a number is wanted"),
    "a switch for a choice of numbers": ("{name: scenes}", "{name: folder, path: x, channels: true}", "channels: a number is wanted"),
    "a switch for text": ("loss: dice", "loss: yes", "train.loss: Input should be a valid string (got True)"),
    "an octal number": ("epochs: 1", "epochs: 010", "line 5, column 29: 010 is octal in YAML 1.1; write 10 if"),
    "negative": ("epochs: 1", "epochs: -3", "train.epochs: Input should be greater than or equal"),
    "unknown loss": ("loss: dice", "loss: dise", "train.loss: unknown loss 'dise'; did you mean 'dice'?"),
    "unknown model": ("{base", "{name: unit, base", "unknown network 'unit'; did you mean 'unet'?"),
    "unknown dataset": ("name: scenes", "name: scene", "unknown dataset 'scene'; did you mean 'scenes'?"),
    "no dataset": ("{name: scenes}", "{}", "data.name: is missing: which dataset?"),
    "unknown choice": ("g: bilinear}\ntrain", "g: cubic}\ntrain", "model.upsampling: Input should be 'tran"),
    "factor that is no setting": (
        "train.loss: [ce, dice]", "train.los: [ce, dice]",
        "factors: 'train.los' is no setting; did you mean 'train.loss'?",
    ),
    "empty factor": ("train.loss: [ce, dice]", "train.loss: []", "factors.train.loss: has no levels"),
    "level twice": ("[ce, dice]", "[ce, ce]", "factors.train.loss: level 'ce' is given twice"),
    "baseline outside the grid": (
        "baseline: {train.loss: ce", "baseline: {train.loss: dice+ce",
        "baseline.train.loss: 'dice+ce' is no level of it; known: ce, dice",
    ),
    "baseline of no factor": ("baseline: {", "baseline: {train.epochs: 3, ", "train.epochs: no such factor"),
    "half a baseline": (", model.upsampling: bilinear}\n", "}\n", "baseline: says nothing about model.up"),
    "no margin": ("seeds: 2", "seeds: 2\nequivalence: 0", "equivalence: Input should be greater than 0"),
    "endless margin": ("seeds: 2", "seeds: 2\nequivalence: .inf", "equivalence: Input should be a finite"),
    "no seeds": ("seeds: 2", "seeds: []", "seeds: List should have at least 1 item"),
    "seed twice": ("seeds: 2", "seeds: [1, 1]", "seeds: seeds are distinct and not negative"),
    "key twice": ("seeds: 2", "seeds: 2\nseeds: 3", "line 10, column 1: key 'seeds' is given twice"),
    "nested key twice": ("epochs: 1", "epochs: 1, epochs: 2", "key 'epochs' is given twice"),
    "no YAML": ("seeds: 2", "seeds: [2", "not readable as YAML: line"),
    "a tag": ("seeds: 2", "seeds: !!python/object/apply:os.system ['true']", "not readable as YAML"),
    "an alias": ("seeds: 2", "seeds: &a [1]\nquestion: *a", "aliases (*name) are not taken here"),
    "a path as name": ("name: small", "name: ../../small", "name: String should match pattern"),
    "no mapping": (SMALL, "- 1\n- 2\n", "a mapping of keys to values is wanted"),
    "crop too small": ("epochs: 1", "epochs: 1, crop_size: 8", "crop_size: 8 is too small for 4 poolings"),
    "crop does not fit": (
        "{base_channels: 4", "{padding: valid, base_channels: 4",
        "train.crop_size: 96 does not fit an unpadded U-Net of depth 4; the nearest sizes that do: 188",
    ),
    "crop below a window": (
        "upsampling: bilinear}\ntrain: {", "name: sliding_window}\ntrain: {crop_size: 80, ",
        "train.crop_size: 80 is too small for a window of 95 pixels; at least 95",
    ),
    "loss option": ("epochs: 1", "epochs: 1, loss_options: {bta: 2}", "train.loss_options: "),
    "unknown augmentation": (
        "epochs: 1", "epochs: 1, augmentation: flipp",
        "train.augmentation: unknown augmentation 'flipp'; did you mean 'flip'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_is_one_line_that_names_file_and_key(write, case):
    old, new, expected = BROKEN[case]
    assert old in SMALL
    path = write(SMALL.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        config.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message


def test_switches_are_switches(write):
    text = SMALL.replace("epochs: 1}", "epochs: 1, channels_last: no}\nevaluate: {study: yes}")
    experiment = config.load(write(text), ["evaluate.checkpoint=true"])
    assert experiment.train.channels_last is False
    assert experiment.evaluate.study is experiment.evaluate.checkpoint is True


def test_a_switch_is_no_level_of_a_number(write):
    text = SMALL.replace("train.loss: [ce, dice]", "train.epochs: [yes, 2]")
    text = text.replace("baseline: {train.loss: ce", "baseline: {train.epochs: 2")
    with pytest.raises(UserError, match=r"train: epochs: a number is wanted, not a switch"):
        design.arms(config.load(write(text)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs=yes", "train: epochs: a number is wanted, not a switch"),
        ("train.epochs=1:30", "1:30 counts in sixties in YAML 1.1; write 90"),
        ("train.epochs", "key=value is wanted"),
        ("train.epochs=[", "not readable as YAML"),
        ("train.loss=ce", "train.loss is a factor; set factors.train.loss"),
        ("name.first=x", "name is no section"),
    ],
)
def test_a_mistake_in_set(write, override, expected):
    with pytest.raises(UserError) as caught:
        config.load(write(SMALL), [override])
    assert expected in str(caught.value)


def test_a_missing_file_and_a_missing_parent(write, tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read \(No such file"):
        config.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"gone\.yaml: cannot be read"):
        config.load(write("extends: gone.yaml\n"))


def test_a_file_that_extends_itself(write):
    write("extends: b.yaml\n", "a.yaml")
    with pytest.raises(UserError, match="extends itself"):
        config.load(write("extends: a.yaml\n", "b.yaml"))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(UserError, match="not readable as YAML"):
        config.load(path)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_experiment_of_the_repository_is_one(path):
    assert config.load(path).name
    opening = path.read_text(encoding="utf-8").splitlines()[0]
    named = opening.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == EXPERIMENTS / "schema.json"


def test_the_schema_in_the_repository_is_the_current_one():
    assert (EXPERIMENTS / "schema.json").read_text(encoding="utf-8") == config.schema()


def test_the_schema_knows_the_keys_that_a_file_uses():
    schema = json.loads(config.schema())
    written = yaml.safe_load((EXPERIMENTS / "loss_ablation.yaml").read_text(encoding="utf-8"))
    assert set(written) <= set(schema["properties"])
    assert set(written["train"]) <= set(schema["$defs"]["TrainSettings"]["properties"])
