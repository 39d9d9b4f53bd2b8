"""YAML → Experiment: what is taken, and the one line for everything that is not."""

from pathlib import Path

import pytest

from bench.errors import UserError, UserErrors
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
    assert config.load(write(SMALL)).pairing == "seed"
    assert config.load(write(SMALL + "pairing: none\n")).pairing == "none"
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


def test_files_of_ones_own_are_beside_the_file_that_names_them(write, tmp_path):
    code = "def {}(ignore_index=255):\n    return lambda logits, labels: logits.sum()\n"
    (tmp_path / "parents").mkdir()
    write(code.format("one"), "parents/ours.py")
    write(code.format("two"), "ours.py")
    parent = SMALL.replace("loss: dice", "loss: ./ours.py:one").replace("dice]", "./ours.py:one]")
    write(parent, "parents/parent.yaml")
    child = write(
        "extends: parents/parent.yaml\nname: child\ninclude: [{train.loss: ./ours.py:two}]"
    )
    experiment = config.load(child)
    assert experiment.train.loss == "./parents/ours.py:one"
    arms = design.arms(experiment)
    assert {arm.settings.train.loss for arm in arms} == {
        "ce",
        "./parents/ours.py:one",
        "./ours.py:two",
    }
    with pytest.raises(UserError, match=r"'\./parents/ours\.py:one' takes no option 'a'"):
        config.load(child, ["train.loss_options={a: 1}"])


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
        ("seeds={look_at: [3, 5]}", lambda e: (e.looks, e.all_seeds) == ((3, 5), [0, 1, 2, 3, 4])),
        ("seeds={until: decided, at_most: 5}", lambda e: e.looks == (3, 4, 5)),
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
    "a number as key": ("seeds: 2", "seeds: 2\n3: 4", "unknown key 3; known: data, model"),
    "a key of two lines": ("seeds: 2", 'seeds: 2\n"a\\nb": 4', r"unknown key 'a\nb'"),
    "wrong type": ("epochs: 1", "epochs: many", "train.epochs: Input should be a valid integer"),
    "a switch for a number": ("epochs: 1", "epochs: yes", "train.epochs: a number is wanted, not true or false (got true)"),
    "a switch for a fraction": ("epochs: 1", "learning_rate: off", "train.learning_rate: a number is wanted, not true or false (got false)"),
    "a switch for a seed": ("seeds: 2", "seeds: [0, true]", "seeds: a number is wanted, not true or false"),
    "a switch for seeds": ("seeds: 2", "seeds: on", "seeds: a number is wanted, not true or false"),
    "no pattern of groups": ("seeds: 2", "seeds: 2\nimage_groups: '(a'", "image_groups: '(a' is no regular expression"),
    "no such pairing": ("seeds: 2", "seeds: 2\npairing: folds", "pairing: Input should be 'seed' or 'none' (got 'folds')"),
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
    "a key of looks": ("seeds: 2", "seeds: {lookat: [3, 5]}", "seeds: unknown key 'lookat'; did you mean 'look_at'?"),
    "falling looks": ("seeds: 2", "seeds: {look_at: [5, 3]}", "seeds: look_at: numbers rise from look to look: [3, 5] (got [5, 3])"),
    "one look": ("seeds: 2", "seeds: {look_at: [3]}", "seeds: look_at: two looks or more; for a single look write seeds: 3"),
    "looks in two ways": ("seeds: 2", "seeds: {look_at: [3, 5], at_most: 9}", "seeds: look_at: says all by itself; leave out at_most"),
    "a look at one seed": ("seeds: 2", "seeds: {look_at: [1, 5]}", "seeds: look_at: a comparison needs 2 seeds or more"),
    "until what": ("seeds: 2", "seeds: {until: decidd, at_most: 9}", "seeds.until: Input should be 'decided' (got 'decidd')"),
    "no end": ("seeds: 2", "seeds: {until: decided}", "seeds: at_most: is missing: how many seeds may be measured at most?"),
    "an end before the first look": ("seeds: 2", "seeds: {until: decided, at_most: 3}", "seeds: at_most: 3 is not above 3, the seeds of the first look"),
    "too many looks": ("seeds: 2", "seeds: {until: decided, at_most: 99}", "seeds: at_most: 97 looks; at most 50: use look_at"),
    "nothing of looks": ("seeds: 2", "seeds: {}", "seeds: until: is missing; write look_at: [3, 5, 8], or until: decided with at_most: 20"),
    "looks at speeds": ("seeds: 2", "seeds: {look_at: [3, 5]}\nmeasure: throughput", "seeds: looks are for measure: accuracy"),
    "looks without pairs": ("seeds: 2", "seeds: {look_at: [3, 5]}\npairing: none", "seeds: looks need arms that share their seeds"),
    "no seeds": ("seeds: 2", "seeds: []", "seeds: List should have at least 1 item"),
    "seed twice": ("seeds: 2", "seeds: [1, 1]", "seeds: each is given once, and none is negative"),
    "key twice": ("seeds: 2", "seeds: 2\nseeds: 3", "line 10, column 1: key 'seeds' is given twice"),
    "nested key twice": ("epochs: 1", "epochs: 1, epochs: 2", "key 'epochs' is given twice"),
    "no YAML": ("seeds: 2", "seeds: [2", "not readable as YAML: line"),
    "a tag": ("seeds: 2", "seeds: !!python/object/apply:os.system ['true']", "not readable as YAML"),
    "an alias": ("seeds: 2", "seeds: &a [1]\nquestion: *a", "aliases (*name) are not taken here"),
    "a path as name": ("name: small", "name: ../../small", "name: letters, digits, '_', '-' and '.' make a name"),
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


MANY = """
name: my study
data: {name: scenes, trian: 4}
modle: {base_channels: 8}
train: {lr: 0.01, loss: dicee, epochs: yes, batch: 4, upsampling: bilinear}
loss: dice
seeds: [0, 0]
factors:
  lr: [0.1, 0.01]
  train.loss: [ce, dicee]
  model.upsampling: [bilinear, cubic]
baseline: {train.loss: dice, lr: 0.1, model.upsamplin: bilinear}
include:
  - {model.name: smp_unett}
  - {loss: ce}
"""


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(write):
    path = write(MANY)
    with pytest.raises(UserErrors) as caught:
        config.load(path)
    assert str(caught.value).replace(f"{path}: ", "").splitlines() == [
        "name: letters, digits, '_', '-' and '.' make a name (got 'my study')",
        "data: unknown key 'trian'; did you mean 'train'?",
        "unknown key 'modle'; did you mean 'model'?",
        "train: unknown key 'lr'; did you mean 'train.learning_rate'?",
        "train.loss: unknown loss 'dicee'; did you mean 'dice'?",
        "train.epochs: a number is wanted, not true or false (got true)",
        "train: unknown key 'batch'; did you mean 'train.batch_size'?",
        "train: unknown key 'upsampling'; did you mean 'model.upsampling'?",
        "unknown key 'loss'; did you mean 'train.loss'?",
        "seeds: each is given once, and none is negative (got [0, 0])",
        "factors: 'lr' is no setting; did you mean 'train.learning_rate'?",
        "factors.train.loss: unknown loss 'dicee'; did you mean 'dice'?",
        "factors.model.upsampling: Input should be 'transposed' or 'bilinear' (got 'cubic')",
        # That ``dice`` is no level of the loss, and ``lr`` no factor, follows from the above.
        "baseline.model.upsamplin: no such factor; did you mean 'model.upsampling'?",
        "include: model.name: unknown network 'smp_unett'; did you mean 'smp_unet'?",
        "include: 'loss' is no setting; did you mean 'train.loss'?",
    ]
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


def test_a_mistake_is_said_of_the_place_that_it_is_in(write, tmp_path):
    parent = write(SMALL.replace("epochs: 1", "epohcs: 1"), "parent.yaml")
    child = write("extends: parent.yaml\nname: child\nseeds: 0\nsedes: 1\n", "child.yaml")
    with pytest.raises(UserErrors) as caught:
        config.load(child, ["lr=0.1", "train.loss=ce", "model.depth=none"])
    places = [str(one).partition(": ")[0] for one in caught.value.each()]
    expected = {
        "--set model.depth=none": 1,
        str(parent): 1,
        str(child): 2,
        "--set lr=0.1": 1,
        "--set train.loss=ce": 1,
    }
    assert {place: places.count(place) for place in places} == expected


def test_settings_that_do_not_fit_each_other_are_said_beside_other_mistakes(write):
    text = SMALL.replace("epochs: 1", "epochs: 1, crop_size: 8").replace("seeds: 2", "seeds: no")
    with pytest.raises(UserErrors) as caught:
        config.load(write(text))
    first, second = map(str, caught.value.each())
    assert "train.crop_size: 8 is too small for 4 poolings" in first
    assert "seeds: " in second


SHORT = {
    "lr": "train.learning_rate",
    "loss": "train.loss",
    "bs": "train.batch_size",
    "batch": "train.batch_size",
    "epochs": "train.epochs",
    "upsampling": "model.upsampling",
    "seed": "seeds",  # of two that may be meant, the one of the same section
}


@pytest.mark.parametrize("short", SHORT)
def test_a_short_name_finds_the_whole_one(write, short):
    ending = f"did you mean {SHORT[short]!r}?"
    for text, overrides in ((f"{SMALL}{short}: 1\n", []), (SMALL, [f"{short}=1"])):
        with pytest.raises(UserError, match=f"unknown key {short!r}") as caught:
            config.load(write(text), overrides)
        assert str(caught.value).endswith(ending)


@pytest.mark.parametrize("short", ["lr", "loss", "bs", "batch"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model: {", "model: {%s: 1, "),
        ("factors:", "factors:\n  %s: [1, 2]"),
        ("seeds: 2", "include: [{%s: 1}]"),
    ],
)
def test_a_short_name_finds_the_whole_one_at_any_level(write, old, new, short):
    with pytest.raises(UserError) as caught:
        config.load(write(SMALL.replace(old, new % short, 1)))
    assert str(caught.value.each()[0]).endswith(f"did you mean {SHORT[short]!r}?")


def test_switches_are_switches(write):
    text = SMALL.replace("epochs: 1}", "epochs: 1, channels_last: no}\nevaluate: {study: yes}")
    experiment = config.load(write(text), ["evaluate.checkpoint=true"])
    assert experiment.train.channels_last is False
    assert experiment.evaluate.study is experiment.evaluate.checkpoint is True


def test_a_switch_is_no_level_of_a_number(write):
    text = SMALL.replace("train.loss: [ce, dice]", "train.epochs: [yes, 2]")
    text = text.replace("baseline: {train.loss: ce", "baseline: {train.epochs: 2")
    with pytest.raises(
        UserError, match=r"factors.train.epochs: a number is wanted, not true or false"
    ):
        config.load(write(text))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs=yes", "--set train.epochs=yes: train.epochs: a number is wanted, not true"),
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
    assert all(one.name for one in config.load_all(path))
    opening = path.read_text(encoding="utf-8").splitlines()[0]
    named = opening.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == EXPERIMENTS / "schema.json"
