"""The code of a user's own component: her modules by their text, others' packages by version.

A module is hers if it is of the component's own package, or lies outside the folders into which
packages are installed. Its imports are followed as far as they are hers. What a module imports by a
name that is made while it runs is not seen.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.components.names import Component
from bench.errors import UserError
from bench.experiment import source_text

PACKAGES = ("unet", "bench")  # ours
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
_INSTALLED = {"site-packages", "dist-packages"}  # folders of this environment and of those below

Sources = dict[str, Path]  # what a digest calls a file → the file


def digest(component: Component) -> str:
    """Return a hex digest of a component's own modules and of the versions of what they import.

    UserError if it cannot be imported.
    """
    content = hashlib.sha256()
    files, packages = _closure(component)
    for name, path in sorted(files.items()):
        text = _text(path)
        same = source_text.without_comments(text) if path.suffix == ".py" else text
        content.update(f"{name}\0{same}\0".encode())
    for package in sorted(packages - set(PACKAGES)):
        content.update(f"{package}\0{_version(package)}\0".encode())
    return content.hexdigest()


def edited(component: Component) -> list[str]:
    """Return the names of a component's own modules that were edited since they were read."""
    files, _ = _closure(component)
    return [name for name, path in sorted(files.items()) if not _as_it_was(path)]


def ours(component: Component) -> set[str]:
    """Return what of this project a component's own modules import: modules, or names in them."""
    return {
        name
        for path in _closure(component)[0].values()
        for name in _imports(path)
        if name.split(".")[0] in PACKAGES
    }


@cache
def _closure(component: Component) -> tuple[Sources, set[str]]:
    """Return a component's own files, and the other packages that these import."""
    component.load()  # its folder has to be in the path, or its imports are not found
    own = component.module.split(".")[0]
    files: Sources = {}
    packages: set[str] = set()
    if component.file is not None:
        waiting = [(component.file.name, component.file)]
    else:
        waiting = list(_modules(component.module, own))
    while waiting:
        name, path = waiting.pop()
        if name in files:
            continue
        files[name] = path
        for imported in _imports(path, name):
            top = imported.split(".")[0]
            if top in sys.stdlib_module_names:
                continue
            if top in PACKAGES or (_is_installed(top) and top != own):
                packages.add(top)
            else:
                waiting += _modules(imported, own)
    return files, packages


def _modules(dotted: str, own: str) -> Iterator[tuple[str, Path]]:
    """Yield the module of a dotted name, and the packages that it is in, as far as they are files.

    The end of the name may be no module but something in one.
    """
    top, *rest = dotted.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:  # a module that is not there: an optional import
        return
    if spec.origin is not None and Path(spec.origin).is_file():
        yield top, Path(spec.origin)
    name, folders = top, [Path(one) for one in spec.submodule_search_locations or ()]
    for part in rest:
        name = f"{name}.{part}"
        found = [
            path
            for folder in folders
            for path in (
                folder / part / "__init__.py",
                folder / f"{part}.py",
                *_compiled(folder, part),
            )
            if path.is_file()
        ]
        folders = [folder / part for folder in folders if (folder / part).is_dir()]
        if found:
            yield name, found[0]


def _compiled(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"{name}.*.so"))


def _is_installed(top: str) -> bool:
    """Tell whether a package is one that is installed, and not in an editable way."""
    spec = importlib.util.find_spec(top)
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return all(_is_of_others(Path(place).resolve()) for place in places)


def _is_of_others(path: Path) -> bool:
    return not _INSTALLED.isdisjoint(path.parts) or path.is_relative_to(_STANDARD_LIBRARY)


def _imports(path: Path, name: str = "") -> Iterator[str]:
    """Yield the dotted names of everything that a file imports anywhere in its text."""
    if path.suffix != ".py":
        return
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(_text(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            within = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*within, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _version(package: str) -> str:
    """Return the versions of the distributions that a package is of."""
    found = sorted(set(_distributions().get(package, ())))
    return " ".join(f"{one} {metadata.version(one)}" for one in found)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


@cache
def _text(path: Path) -> str:
    """Return a file's text as it was when this process first asked."""
    return _read(path)


def _read(path: Path) -> str:
    try:
        return source_text.read(path) if path.suffix == ".py" else path.read_bytes().hex()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _as_it_was(path: Path) -> bool:
    try:
        now = _read(path)
    except UserError:
        return False
    return source_text.same(_text(path), now) if path.suffix == ".py" else now == _text(path)
