"""The house: imports go in one direction, and what should start quickly imports little."""

import subprocess
import sys

import pytest

from bench import sources

LAYERS = [
    {"errors", "sources"},
    {
        "settings",
        "stopping",
        "yaml_files",
        "images",
        "palette",
        "archives",
        "precision",
        "kinds",
        "checkpoints",
    },
    {
        "environment",
        "records",
        "stats",
        "timing",
        "device_state",
        "pairs",
        "scenery",
        "evidence",
        "membranes",
    },
    {"tissue"},
    {"datasets", "details"},
    {"data", "augment", "frame", "conventions"},
    {"effects", "loading"},
    {
        "batches",
        "borders",
        "models",
        "losses",
        "tables",
        "figures",
        "canaries",
        "shapes",
        "ceilings",
        "resume",
    },
    {"predict", "audit", "roofline", "trained"},
    {"evaluate", "step", "report", "compare", "export"},
    {"arithmetic", "exhibits", "train"},
    {"trial"},
    {"workloads", "limits"},
    {"accuracy", "throughput", "config"},
    {"plan"},
    {"estimate", "progress", "measuring"},
    {"cluster"},
    {"workers"},
    {"executors"},
    {"runner"},
    {"terminal"},
    {"data_verbs", "network_verbs"},
    {"__main__"},
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(
    ".".join(path.relative_to(sources.ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in sources.PACKAGES
    for path in (sources.ROOT / package).rglob("*.py")
)


def room(module):
    """``bench.datasets.scenes`` → ``datasets``."""
    return module.split(".")[1]


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("unet")])
def test_the_library_does_not_know_the_harness(module):
    assert not any(name.startswith("bench") for name in sources.closure([module]))


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("bench.")])
def test_a_room_imports_only_lower_ones(module):
    here = HEIGHT[room(module)]
    for imported in sources.imports(module):
        if imported.startswith("bench.") and room(imported) != room(module):
            assert HEIGHT[room(imported)] < here, f"{module} imports {imported}"


def forget():
    for cached in (sources.imports, sources._code):
        cached.cache_clear()


def test_the_scan_sees_imports_of_every_form(tmp_path, monkeypatch):
    (tmp_path / "unet").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "unet" / f"{name}.py").write_text("")
    (tmp_path / "unet" / "__init__.py").write_text("")
    (tmp_path / "unet" / "top.py").write_text(
        "import unet.a\nfrom unet import b\ndef f():\n    from unet.c import x\nimport json\n"
    )
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    forget()
    assert sources.imports("unet.top") == {"unet", "unet.a", "unet.b", "unet.c"}
    before = sources.digest(["unet.top"])
    (tmp_path / "unet" / "c.py").write_text("x = 1\n")
    forget()
    assert sources.digest(["unet.top"]) != before
    forget()


CODE = '''"""What it is."""
import os  # for paths

SHARP = "# no comment"  # but this is one


def f(x):
    """Do it.

    At length.
    """
    # Why so.
    return """text

    # of a text"""


class A:
    """A class."""

    x = 1
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("What it is.", "What it\nreally is.", True),
        ("  # for paths", "", True),
        ("    # Why so.\n", "", True),
        ("    # Why so.\n", "    # Why so,\n    # and not otherwise: ä.\n", True),
        ("At length.", "At length.\n\n    And more.", True),
        ('    """A class."""\n', '    """Another."""  # or so\n', True),
        ("SHARP =", "# Sharp.\n\n\nSHARP =", True),
        ("# no comment", "# comment", False),
        ("    # of a text", "    # of a poem", False),
        ('"""text\n\n', '"""text\n', False),
        ("x = 1", "x = 2", False),
        ("return", "print(1); return", False),
    ],
)
def test_words_about_code_change_no_digest(old, new, same, tmp_path, monkeypatch):
    def digest(text):
        (tmp_path / "unet.py").write_text(text)
        forget()
        return sources.digest(["unet"])

    monkeypatch.setattr(sources, "ROOT", tmp_path)
    assert CODE.count(old) == 1
    assert (digest(CODE) == digest(CODE.replace(old, new))) is same
    forget()


@pytest.mark.parametrize(
    "statement",
    ["import bench.report", "import bench.__main__", "import bench.figures, bench.tables"],
)
def test_reports_and_help_do_not_import_torch(statement):
    check = f"{statement}; import sys; print([m for m in ('torch', 'albumentations') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=sources.ROOT
    )
    assert done.stdout.strip() == "[]"


def test_what_makes_reports_is_no_part_of_what_measures():
    measuring = sources.closure(["bench.accuracy", "bench.datasets.scenes"])
    assert {"bench.train", "bench.evaluate", "unet.losses", "bench.datasets.scenes"} <= measuring
    assert not measuring & {"bench.report", "bench.figures", "bench.tables", "bench.runner"}
