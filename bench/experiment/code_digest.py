"""Which source files a module depends on, and their digest. Nothing is imported for it.

All files are read once, when this module is imported: so a process knows the code that it was
started with, whatever becomes of the files later. Only ``edited`` looks at them again.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from bench.components.names import Component
from bench.experiment import own_code, source_text
from bench.experiment.own_code import PACKAGES
from bench.measurements import MEASUREMENTS

ROOT = Path(__file__).resolve().parents[2]
# Names of all components of ours: another one makes no difference to those that are there.
_IN_NO_DIGEST = {
    "bench.components.built_in",
    # What stored weights are found through, to be scored again; it computes none of the scores.
    *("bench.store.details", "bench.store.folder", "bench.store.plans", "bench.store.records"),
}


def digest(modules: Iterable[str]) -> str:
    """Return a hex digest of the modules and of everything of ours that they import.

    It changes when a measurement may have changed, and not when reports or documents do; nor when
    only a comment or a docstring does, or weeks of results would be measured again for a comma.
    """
    content = hashlib.sha256()
    for name in sorted(closure(modules)):
        content.update(f"{name}\0{source_text.without_comments(_source(name))}\0".encode())
    return content.hexdigest()


def of_measurement(measure: str) -> str:
    """Return the digest of the code that every trial of a measurement goes through."""
    return digest([MEASUREMENTS[measure].module])


def of_components(components: tuple[Component, ...]) -> str:
    """Return the digest of the code of the components that a trial uses.

    Of ours it covers what they import too; of a user's own, what `own_code` says.
    """
    content = hashlib.sha256(digest(_ours(components)).encode())
    for component in components:
        if not component.is_ours:
            content.update(f"\0{component.name}\0{own_code.digest(component)}".encode())
    return content.hexdigest()


def edited(modules: Iterable[str], components: Iterable[Component]) -> list[str]:
    """Return which files of modules of ours and of a user's own were edited since they were read.

    Not those of which only comments or docstrings were edited.
    """
    found = [name for name in sorted(closure(modules)) if not _as_it_was(name)]
    for component in components:
        found += [] if component.is_ours else own_code.edited(component)
    return found


def modules_of_trial(measure: str, components: tuple[Component, ...]) -> list[str]:
    """Return the modules of ours that a trial starts from."""
    return [MEASUREMENTS[measure].module, *sorted(_ours(components))]


def _ours(components: Iterable[Component]) -> set[str]:
    """Return our modules of components, and those that a user's own components import."""
    found: set[str] = set()
    for one in components:
        found |= {one.module} if one.is_ours else own_code.ours(one)
    return {name for name in found if _file(name) is not None}


def closure(modules: Iterable[str]) -> set[str]:
    """Return the modules and every module of this project that they import, however far."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in _IN_NO_DIGEST:
            found.add(name)
            waiting.extend(imports(name))
    return found


def _as_it_was(module: str) -> bool:
    path = _file(module)
    try:
        return path is not None and source_text.same(_source(module), source_text.read(path))
    except OSError:
        return False


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules of this project that a module imports anywhere in its text."""
    tree = ast.parse(_source(module))
    return frozenset(name for node in ast.walk(tree) for name in _imported(node))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        candidates = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        candidates = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return
    for name in candidates:
        # `bench` and `unet` themselves offer users everything, and are no part of what they offer.
        if name not in PACKAGES and name.split(".")[0] in PACKAGES and _file(name) is not None:
            yield name


def _file(module: str) -> Path | None:
    return _found(ROOT, module)


@cache
def _found(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _source(module: str) -> str:
    path = _file(module)
    if path is None:
        raise ValueError(f"no module {module}")
    return _SOURCES[path] if path in _SOURCES else source_text.read(path)


_SOURCES = {
    path: source_text.read(path)
    for name in PACKAGES
    for path in sorted((ROOT / name).rglob("*.py"))
}
