"""The code of a user's component: what of it is in a key, and what is not."""

import itertools
import sys

import pytest

from bench.components import names
from bench.experiment import code_digest, own_code
from bench.experiment.code_digest import of_components

FILES = {
    "lab/__init__.py": "",
    "lab/losses.py": "from .parts import scale\nfrom lab.deep import more\nimport lab_tools\n"
    "def Mine(): return scale\n",
    "lab/nets.py": "def Net(): return 1\n",
    "lab/parts.py": "scale = 1\n",
    "lab/deep/__init__.py": "",
    "lab/deep/more.py": "def late():\n    import numpy, json\n    from unet.tiling import x\n",
    "lab/unused.py": "a = 1\n",
    "lab_tools.py": "b = 1\n",
    "beside.py": "import lab_tools\ndef Mine(): return lab_tools\n",
}
NUMBERS = itertools.count()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with a package and files, each time under names of its own; digests forget."""
    number = next(NUMBERS)
    for name, text in FILES.items():
        path = tmp_path / name.replace("lab", f"lab{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("lab", f"lab{number}"))
    monkeypatch.setattr(sys, "path", [*sys.path])

    def component(name):
        path = name.replace("lab", f"lab{number}")
        return names.find("loss", names.located(path, tmp_path))

    component.folder = tmp_path
    component.file = lambda name: tmp_path / name.replace("lab", f"lab{number}")
    return component


def forget():
    for cached in (own_code._closure, own_code._text):
        cached.cache_clear()


def covered(component):
    forget()
    return {path.name for path in own_code._closure(component)[0].values()}


def test_it_is_what_the_component_imports_of_hers(lab):
    component = lab("lab.losses:Mine")
    files, packages = own_code._closure(component)
    seen = {path.relative_to(lab.folder) for path in files.values()}
    expected = {name for name in FILES if name not in ("lab/unused.py", "lab/nets.py", "beside.py")}
    assert seen == {lab.file(name).relative_to(lab.folder) for name in expected}
    assert packages == {"numpy", "unet"}


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("lab/losses.py", True),
        ("lab/parts.py", True),
        ("lab/deep/more.py", True),
        ("lab_tools.py", True),
        ("lab/unused.py", False),
        ("lab/nets.py", False),
    ],
)
def test_only_what_it_imports_makes_it_another(lab, file, changes):
    component = lab("lab.losses:Mine")
    forget()
    before = of_components((component,))
    path = lab.file(file)
    path.write_text(path.read_text() + "# a remark\n")
    forget()
    assert of_components((component,)) == before
    path.write_text(path.read_text() + "VERSION = 2\n")
    assert bool(own_code.edited(component)) is changes  # this process has read it already
    forget()
    assert (of_components((component,)) != before) is changes


def test_a_file_beside_the_experiment_is_followed_to_its_neighbours(lab):
    assert any(name.endswith("_tools.py") for name in covered(lab("./beside.py:Mine")))


def test_a_package_of_others_counts_by_its_version(lab, monkeypatch):
    component = lab("lab.losses:Mine")
    forget()
    before = own_code.digest(component)
    really = own_code.metadata.version
    monkeypatch.setattr(
        own_code.metadata, "version", lambda name: "99" if name == "numpy" else really(name)
    )
    forget()
    assert own_code.digest(component) != before


def test_what_it_imports_of_ours_is_covered(lab):
    ours = code_digest.closure(code_digest.modules_of_trial("accuracy", (lab("lab.losses:Mine"),)))
    assert "unet.tiling" in ours


def test_ours_are_no_code_of_each_other():
    """A change to a loss, a network or a dataset is none to what does not use it."""
    digested = {
        name: code_digest.closure(
            code_digest.modules_of_trial("accuracy", (names.find(kind, name),))
        )
        for kind, name in (
            ("loss", "ce"),
            ("loss", "dice"),
            ("network", "smp_unet"),
            ("dataset", "cells"),
        )
    }
    assert "unet.losses.dice" in digested["dice"]
    for name in ("ce", "smp_unet", "cells"):
        assert not {one for one in digested[name] if one.startswith("unet.losses.dice")}
        assert "bench.components.built_in" not in digested[name]
    assert "unet.model" not in digested["ce"] | digested["cells"]
