"""Components by name: what wins, what is found where, and what is said of names that are wrong."""

import importlib.metadata
import pickle

import pytest

from bench.components import names, options
from bench.components.built_in import BUILT_IN
from bench.errors import UserError
from bench.training.step import TrainSettings

LOSS = """
from torch import nn

class Mine(nn.Module):
    def __init__(self, weight: float = 1.0, *, classes: list[int] | None = None, kind: str = "a"):
        super().__init__()
        self.weight = weight

    def forward(self, logits, target):
        return self.weight * logits.mean()

def needs(size: int): ...
def anything(**options): ...
NOT = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(LOSS)
    (tmp_path / "a_package_of_mine").mkdir()
    (tmp_path / "a_package_of_mine" / "losses.py").write_text(LOSS)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "fails.py").write_text("1 / 0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, all_names in BUILT_IN.items() for name in all_names]
)
def test_every_built_in_component_is_there(kind, name):
    component = names.find(kind, name)
    assert component.is_ours
    assert callable(component.load())


@pytest.mark.parametrize("name", ["./mine.py:Mine", "a_package_of_mine.losses:Mine"])
def test_a_file_and_a_package_beside_the_experiment_are_found(name, folder):
    component = names.find("loss", names.located(name, folder))
    assert not component.is_ours
    assert component.load()(2.0).weight == 2.0
    assert component.load() is component.load()  # imported once


def test_files_of_one_name_are_two_modules(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "mine.py").write_text("def Mine(): return 'other'")
    first = names.find("loss", names.located("./mine.py:Mine", folder)).load()
    second = names.find("loss", names.located("./mine.py:Mine", other)).load()
    assert first is not second
    assert second() == "other"


def test_a_setting_keeps_the_folder_through_a_copy_and_another_process(folder):
    given = {"loss": "./mine.py:Mine", "loss_options": {"weight": 3.0}}
    settings = TrainSettings.model_validate(given, context={"folder": folder})
    for again in (
        TrainSettings.model_validate(settings.model_dump()),
        pickle.loads(pickle.dumps(settings)),
    ):
        assert again.loss == "./mine.py:Mine"
        assert names.find("loss", again.loss).folder == folder.resolve()
    assert settings.model_dump(mode="json")["loss"] == "./mine.py:Mine"


def test_entry_points_give_names_and_built_in_names_win(monkeypatch, folder):
    group = "unet_bench.losses"
    points = [
        importlib.metadata.EntryPoint("mine", "a_package_of_mine.losses:Mine", group),
        importlib.metadata.EntryPoint("dice", "a_package_of_mine.losses:Mine", group),
    ]
    monkeypatch.setattr(
        names.metadata, "entry_points", lambda group: points if group == "unet_bench.losses" else []
    )
    monkeypatch.syspath_prepend(folder)
    for cached in (names._entry_points, names._find):
        cached.cache_clear()
    try:
        assert names.find("loss", "mine").load().__name__ == "Mine"
        assert names.find("loss", "dice").load().__name__ == "DiceLoss"
        with pytest.raises(UserError, match="did you mean 'mine'"):
            names.find("loss", "mines")
    finally:
        for cached in (names._entry_points, names._find):
            cached.cache_clear()


WRONG = {
    "no such name": ("dise", "unknown loss 'dise'; did you mean 'dice'?"),
    "prefix of ours": ("smp:jacard", "unknown loss 'smp:jacard'; did you mean 'smp:jaccard'?"),
    "no such file": ("./mime.py:Mine", "mime.py: no such file"),
    "no such package": ("nowhere_at_all.losses:Mine", "nowhere_at_all is not installed, and not"),
    "no such module": ("a_package_of_mine.loses:Mine", "a_package_of_mine.loses is not installed"),
    "no such attribute": ("./mine.py:Mime", "Mime is not there; did you mean 'Mine'?"),
    "no callable": ("./mine.py:NOT", "NOT is not callable"),
    "lacks a module": ("./broken.py:Mine", "cannot be imported (ModuleNotFoundError: No module"),
    "fails": ("./fails.py:Mine", "cannot be imported (ZeroDivisionError: division by zero)"),
}


@pytest.mark.parametrize(("name", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_name_is_one_line(name, message, folder):
    with pytest.raises(UserError) as caught:
        names.find("loss", names.located(name, folder)).load()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


OPTIONS = {
    "unknown": ("Mine", {"wieght": 1.0}, "takes no option 'wieght'; did you mean 'weight'?"),
    "type": ("Mine", {"weight": "much"}, "weight: Input should be a valid number (got 'much')"),
    "switch": ("Mine", {"weight": True}, "weight: Input should be a valid number (got True)"),
    "list": ("Mine", {"classes": [1, "a"]}, "classes: Input should be a valid integer"),
    "missing": ("needs", {}, "needs the option 'size'"),
    "not to choose": ("Mine", {"kind": "b"}, "takes no option 'kind'"),
}


@pytest.mark.parametrize(("name", "given", "message"), OPTIONS.values(), ids=OPTIONS)
def test_what_is_wrong_with_options_is_one_line(name, given, message, folder):
    located = names.located(f"./mine.py:{name}", folder)
    with pytest.raises(ValueError, match=r"\./mine\.py") as caught:
        options.check("loss", located, given, given=("kind",))
    assert message in str(caught.value)


def test_options_that_fit_are_taken(folder):
    for name, given in (
        ("Mine", {"weight": 2, "classes": [1, 2]}),
        ("Mine", {}),
        ("needs", {"size": 3}),
        ("anything", {"a": 1, "b": "c"}),
    ):
        options.check("loss", names.located(f"./mine.py:{name}", folder), given)


@pytest.mark.parametrize(
    ("name", "old", "new", "moved"),
    [
        ("./a.py:X", "/e", "/e/sub", "../a.py:X"),
        ("./a.py:X", "/e/base", "/e", "./base/a.py:X"),
        ("../a.py:X", "/e/base", "/e/other/more", "../../a.py:X"),
        ("pkg.a:X", "/e/base", "/e", "pkg.a:X"),
        ("/abs/a.py:X", "/e/base", "/e", "/abs/a.py:X"),
        ("dice", "/e/base", "/e", "dice"),
    ],
)
def test_names_of_files_follow_the_experiment_that_extends(name, old, new, moved, tmp_path):
    assert names.relative_to(name, tmp_path / old[1:], tmp_path / new[1:]) == moved
