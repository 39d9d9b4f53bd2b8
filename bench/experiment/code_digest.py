"""Which source files a module depends on, and their digest. Nothing is imported for it."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from bench.measurements import MEASUREMENTS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("unet", "bench")
Place = tuple[int, int]  # row, and byte in the row, both from 0


def digest(modules: Iterable[str]) -> str:
    """Return a hex digest of the modules and of everything of ours that they import.

    It changes when a measurement may have changed, and not when reports or documents do; nor when
    only a comment or a docstring does, or weeks of results would be measured again for a comma.
    """
    content = hashlib.sha256()
    for name in sorted(closure(modules)):
        content.update(name.encode() + b"\0" + b"\n".join(_code(name)) + b"\0")
    return content.hexdigest()


def of_trial(measure: str, dataset: str) -> str:
    """Return the digest of the code that a trial of some measurement and dataset goes through."""
    return digest([MEASUREMENTS[measure].module, f"bench.data.datasets.{dataset}"])


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
def _code(module: str) -> tuple[bytes, ...]:
    """Return the lines of a module without comments, docstrings and empty lines outside strings."""
    source = _source(module)
    lines = source.split(b"\n")
    emptied = set()
    for (first, left), (last, right) in (*_comments(source), *_docstrings(source)):
        kept = lines[first][:left].rstrip() + lines[last][right:].rstrip()
        lines[first : last + 1] = [kept, *[b""] * (last - first)]
        emptied |= set(range(first + bool(kept), last + 1))
    quoted = {row for first, last in _texts(source) for row in range(first + 1, last)}
    return tuple(
        line
        for row, line in enumerate(lines)
        if row not in emptied and (line.strip() or row in quoted)
    )


def _texts(source: bytes) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of each text that goes over several."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno is not None:
            yield node.lineno - 1, node.end_lineno - 1


def _comments(source: bytes) -> Iterator[tuple[Place, Place]]:
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0] - 1
            line = token.line.splitlines()[0]
            yield (row, len(line[: token.start[1]].encode())), (row, len(line.encode()))


def _docstrings(source: bytes) -> Iterator[tuple[Place, Place]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and ast.get_docstring(node, clean=False) is not None:
                end = first.end_lineno or first.lineno, first.end_col_offset or 0
                yield (first.lineno - 1, first.col_offset), (end[0] - 1, end[1])


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
