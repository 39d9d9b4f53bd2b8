"""Imports go in one direction, from folder to lower folder; what should start quickly imports little."""

import subprocess
import sys

import pytest

from bench.experiment import code_digest

FOLDERS = (  # low to high, as in docs/architecture.md
    {"errors"},
    {"plain_files"},
    {"settings", "yaml_files", "measurements", "machine"},
    {"metrics", "components"},
    {"data"},
    {"training"},
    {"evaluation"},
    {"store"},
    {"analysis"},
    {"experiment"},
    {"profiling"},
    {"report"},
    {"execution"},
    {"doctor"},
    {"cli"},
    {"__main__"},
)
HEIGHT = {name: height for height, names in enumerate(FOLDERS) for name in names}
MODULES = sorted(
    ".".join(path.relative_to(code_digest.ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in code_digest.PACKAGES
    for path in (code_digest.ROOT / package).rglob("*.py")
)


def folder(module):
    """``bench.data.datasets.scenes`` → ``data``."""
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in MODULES if "." in name])
def test_a_module_imports_only_from_its_own_folder_and_lower_ones(module):
    imported = {name for name in code_digest.imports(module) if name.startswith("bench.")}
    if module.startswith("unet."):
        assert not imported
        return
    others = {name for name in imported if folder(name) != folder(module)}
    assert not {n for n in others if HEIGHT[folder(n)] >= HEIGHT[folder(module)]}


def test_package_inits_import_nothing():
    inits = list((code_digest.ROOT / "bench").rglob("*/__init__.py"))
    assert len(inits) > 10
    assert not [path for path in inits if path.read_text()]


@pytest.mark.parametrize(
    "statement",
    [
        "import bench.report.write",
        "import bench.__main__",
        "import bench.report.figures.registry, bench.report.tables.registry",
    ],
)
def test_reports_and_help_do_not_import_torch(statement):
    check = f"{statement}; import sys; print([m for m in ('torch', 'albumentations') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check],
        capture_output=True,
        text=True,
        check=True,
        cwd=code_digest.ROOT,
    )
    assert done.stdout.strip() == "[]"
