"""The versions with hashes in requirements*.lock are of everything that pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-dev.lock": [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["export"]],
}


def locked(name):
    """Return name of a package → its requirements (one for each range of Pythons), with hashes."""
    found = {}
    lines = re.sub(r" *#.*", "", (ROOT / name).read_text(encoding="utf-8"))
    for line in lines.replace("\\\n", "").splitlines():
        if line.strip():
            pinned, *hashes = (part.strip() for part in line.split("--hash="))
            requirement = Requirement(pinned)
            found.setdefault(canonicalize_name(requirement.name), []).append((requirement, hashes))
    return found


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_for_is_locked_within_its_bounds(name):
    lock = locked(name)
    asked = [Requirement(one) for one in ASKED[name] if not one.startswith("unet-bench[")]
    assert len(asked) >= len(PROJECT["dependencies"]) > 10
    for requirement in asked:
        pins = lock[canonicalize_name(requirement.name)]
        assert all(str(pin.specifier)[2:] in requirement.specifier for pin, _ in pins), requirement
    build = Requirement("setuptools>=77")  # with which the package itself is installed
    assert str(lock["setuptools"][0][0].specifier)[2:] in build.specifier


@pytest.mark.parametrize("name", ASKED)
def test_each_version_is_one_release_with_hashes_and_no_address(name):
    for pins in locked(name).values():
        for requirement, hashes in pins:
            assert re.fullmatch(r"==[0-9][^*+]*", str(requirement.specifier)), requirement
            assert requirement.url is None
            assert hashes, requirement
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes)
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|^-|index-url|find-links", text, re.MULTILINE)


def test_tests_run_with_the_versions_that_users_install():
    users, developers = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: developers.get(name) for name in users} == users
