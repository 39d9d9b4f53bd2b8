"""The versions of Python and of the libraries, against what this package admits."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from bench.doctor.finding import Finding, Machine, off, ok, skipped

DISTRIBUTION = "unet-bench"
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def admitted(pyproject: Path = PYPROJECT) -> tuple[str, list[str]] | None:
    """Return the versions of Python and the requirements that are admitted; None if unknown.

    The file beside the sources is newer than what was installed from it.
    """
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
        if project["name"] == DISTRIBUTION:
            return project["requires-python"], project["dependencies"]
    try:
        installed = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    return installed.metadata["Requires-Python"] or "", installed.requires or []


def versions(
    machine: Machine,
    wanted: tuple[str, list[str]] | None = None,
    version: Callable[[str], str] = metadata.version,
) -> Finding:
    """Compare what is installed with what is admitted."""
    wanted = wanted or admitted()
    if wanted is None:
        return skipped(f"neither pyproject.toml nor the metadata of {DISTRIBUTION} is there")
    python, requirements = wanted
    wrong, found, here = [], {"python": platform.python_version()}, platform.python_version()
    if not SpecifierSet(python).contains(here, prereleases=True):
        wrong.append(f"Python is {here} (admitted: {python})")
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found[requirement.name] = version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed (admitted: {requirement.specifier})")
            continue
        if not requirement.specifier.contains(found[requirement.name], prereleases=True):
            name, given = requirement.name, found[requirement.name]
            wrong.append(f"{name} is {given} (admitted: {requirement.specifier})")
    if wrong:
        mend = "pip install -e . in the folder of pyproject.toml, or -r requirements.lock"
        return off("; ".join(wrong), mend, **found)
    return ok(
        f"Python {here} and {len(found) - 1} libraries have versions that are admitted", **found
    )
