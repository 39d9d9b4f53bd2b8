"""Which source files a module depends on, and their digest. Nothing is imported for it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("unet", "bench")


def digest(modules: Iterable[str]) -> str:
    """Return a hex digest of the modules and of everything of ours that they import.

    It changes when a measurement may have changed, and not when reports or documents do.
    """
    content = hashlib.sha256()
    for name in sorted(closure(modules)):
        content.update(name.encode() + b"\0" + _source(name) + b"\0")
    return content.hexdigest()


def closure(modules: Iterable[str]) -> set[str]:
    """Return the modules and every module of this project that they import, however far."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imports(name))
    return found


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
        if name.split(".")[0] in PACKAGES and _file(name) is not None:
            yield name


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _source(module: str) -> bytes:
    path = _file(module)
    if path is None:
        raise ValueError(f"no module {module}")
    return path.read_bytes().replace(b"\r\n", b"\n")
