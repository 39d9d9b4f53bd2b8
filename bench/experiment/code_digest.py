"""Which source files a module depends on, and their digest. Nothing is imported for it.

All files are read once, when this module is imported: so a process knows the code that it was
started with, whatever becomes of the files later. Only ``edited`` looks at them again.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from bench.measurements import MEASUREMENTS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("unet", "bench")


def digest(modules: Iterable[str]) -> str:
    """Return a hex digest of the modules and of everything of ours that they import.

    It changes when a measurement may have changed, and not when reports or documents do; nor when
    only a comment or a docstring does, or weeks of results would be measured again for a comma.
    """
    content = hashlib.sha256()
    for name in sorted(closure(modules)):
        content.update(f"{name}\0{_code(_source(name))}\0".encode())
    return content.hexdigest()


def of_trial(measure: str, dataset: str) -> str:
    """Return the digest of the code that a trial of some measurement and dataset goes through."""
    return digest(modules_of_trial(measure, dataset))


def edited(modules: Iterable[str]) -> list[str]:
    """Return which modules that some depend on were edited since this process was started.

    Not those of which only comments or docstrings were edited.
    """
    return [name for name in sorted(closure(modules)) if not _as_it_was(name)]


def modules_of_trial(measure: str, dataset: str) -> list[str]:
    """Return the modules that a trial of some measurement and dataset starts from."""
    return [MEASUREMENTS[measure].module, f"bench.data.datasets.{dataset}"]


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
def _code(source: str) -> str:
    """Return a module's text without comments, docstrings and empty lines outside strings.

    Text and not tokens or a syntax tree, which are not the same in every version of Python.
    """
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    words = [token for token in tokens if token.type not in (tokenize.NL, tokenize.COMMENT)]
    lines, docstrings = source.split("\n"), _docstrings(words)
    dropped = [*docstrings, *(token for token in tokens if token.type == tokenize.COMMENT)]
    for token in sorted(dropped, key=lambda token: token.start, reverse=True):
        (first, left), (last, right) = token.start, token.end
        rest = lines[first - 1][:left].rstrip() + lines[last - 1][right:]
        lines[first - 1 : last] = [rest, *[""] * (last - first)]
    inside = {n for t in words if t not in docstrings for n in range(t.start[0], t.end[0] - 1)}
    return "\n".join(line for n, line in enumerate(lines) if line.strip() or n in inside)


def _as_it_was(module: str) -> bool:
    path = _file(module)
    try:
        if path is None:
            return False
        before, now = _source(module), _text(path)
        return now == before or _code(now) == _code(before)
    except (OSError, SyntaxError, tokenize.TokenError):  # half written, say
        return False


def _docstrings(words: list[tokenize.TokenInfo]) -> list[tokenize.TokenInfo]:
    """Return the texts that are statements of their own."""
    begin = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return [
        word
        for number, (word, after) in enumerate(pairwise(words))
        if word.type == tokenize.STRING
        and after.type == tokenize.NEWLINE
        and (number == 0 or words[number - 1].type in begin)
    ]


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
        # `bench` itself offers users everything, and is no part of what it offers.
        if name != "bench" and name.split(".")[0] in PACKAGES and _file(name) is not None:
            yield name


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _source(module: str) -> str:
    path = _file(module)
    if path is None:
        raise ValueError(f"no module {module}")
    return _SOURCES[path] if path in _SOURCES else _text(path)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


_SOURCES = {path: _text(path) for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))}
