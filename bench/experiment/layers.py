"""The values of an experiment, and where each is from: files that extend others, and ``--set``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from bench import yaml_files
from bench.components.names import relative_to
from bench.errors import UserError

MAX_FILES = 100  # that an experiment extends, counted as often as each is read
DOTTED_SECTIONS = ("factors", "baseline", "tune")  # their keys are dotted settings themselves


@dataclass(frozen=True)
class Layer:
    """Values from one place. Those of a later layer hold instead of those of an earlier one."""

    source: Path | str  # a file, or what messages call the place
    values: Mapping[str, Any]


def of_file(path: Path) -> list[Layer]:
    """Read a YAML file, after those that it ``extends``: paths relative to it.

    Components in other folders get names that are relative to its own.
    """
    return [_moved(layer, path.parent) for layer in _of_file(path, iter(range(MAX_FILES)))]


def of_mapping(values: Mapping[str, Any], source: str) -> list[Layer]:
    """Return the layers of values as a file has them; what they extend is in the current folder."""
    layers = _extended(source, Path(), plain(values, source), iter(range(MAX_FILES)))
    return [_moved(layer, Path()) for layer in layers]


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Lay layers over each other; seeds and what is varied (factors, …) are replaced whole."""
    values: dict[str, Any] = {}
    for layer in layers:
        for one, other in (("data", "datasets"), ("datasets", "data")):
            if one in layer.values and other not in layer.values:
                values.pop(other, None)  # one stands in place of the other
        values = merge(values, layer.values, whole=(*DOTTED_SECTIONS, "seeds"))
    return values


def source_of(layers: Sequence[Layer], path: Sequence[Any]) -> Path | str:
    """Return where the value at a path is from; of one that is nowhere, where its section is."""
    for length in range(len(path), 0, -1):
        for layer in reversed(layers):
            if _has(layer.values, path[:length]):
                return layer.source
    files = [layer.source for layer in layers if isinstance(layer.source, Path)]
    return files[-1] if files else layers[0].source


def merge(
    below: Mapping[str, Any], above: Mapping[str, Any], whole: Iterable[str] = ()
) -> dict[str, Any]:
    """Lay one mapping over another, and the mappings in them too, but for ``whole`` ones."""
    found = dict(below)
    for key, value in above.items():
        under = found.get(key)
        if key not in whole and isinstance(value, Mapping) and isinstance(under, Mapping):
            value = merge(under, value, whole)
        found[key] = value
    return found


def override(values: Mapping[str, Any], text: str) -> tuple[dict[str, Any], Layer]:
    """Apply one ``key=value`` of ``--set``; return the new values, and what it set as a layer."""
    source = " ".join(f"--set {text}".split())
    key, value = yaml_files.assignment(text)
    factors = values.get("factors")
    if isinstance(factors, Mapping) and key in factors:
        raise UserError(f"{source}: {key} is a factor; set factors.{key}=[...] instead")
    section, _, rest = key.partition(".")
    path = [section, rest] if section in DOTTED_SECTIONS and rest else key.split(".")
    alone: dict[str, Any] = {path[-1]: value}
    for part in reversed(path[:-1]):
        alone = {part: alone}
    return _replaced(values, path, value, source), Layer(source, alone)


def _replaced(
    values: Mapping[str, Any], path: Sequence[str], value: Any, source: str
) -> dict[str, Any]:
    name, *rest = path
    if rest:
        below = values.get(name, {})
        if not isinstance(below, Mapping):
            raise UserError(f"{source}: {name} is no section")
        value = _replaced(below, rest, value, source)
    return {**values, name: value}


def _of_file(path: Path, allowed: Iterator[int], seen: tuple[Path, ...] = ()) -> list[Layer]:
    """Read a file. ``allowed`` has an item for every file that may still be read.

    A few files that extend each other several times could otherwise make millions.
    """
    if path.resolve() in seen:
        raise UserError(f"{path}: extends itself")
    if next(allowed, None) is None:
        raise UserError(f"{path}: extends more than {MAX_FILES} files")
    values = yaml_files.read_mapping(path)
    return _extended(path, path.parent, values, allowed, (*seen, path.resolve()))


def _extended(
    source: Path | str,
    folder: Path,
    values: Mapping[str, Any],
    allowed: Iterator[int],
    seen: tuple[Path, ...] = (),
) -> list[Layer]:
    parents = values.get("extends", [])
    layers: list[Layer] = []
    for parent in parents if isinstance(parents, list) else [parents]:
        if not isinstance(parent, str) or "\0" in parent:
            raise UserError(f"{source}: extends: a file name is wanted (got {parent!r})")
        layers += _of_file(folder / parent, allowed, seen)
    own = {key: value for key, value in values.items() if key != "extends"}
    return [*layers, Layer(source, own)]


def _moved(layer: Layer, folder: Path) -> Layer:
    """Return a layer whose components' files are relative to a folder, not to its own file's."""
    if not isinstance(layer.source, Path) or layer.source.parent == folder:
        return layer
    old = layer.source.parent

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {moved(key): moved(below) for key, below in value.items()}
        if isinstance(value, list):
            return [moved(one) for one in value]
        return relative_to(value, old, folder) if isinstance(value, str) else value

    return Layer(layer.source, moved(layer.values))


def _has(values: Any, path: Sequence[Any]) -> bool:
    for part in path:
        inside = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if not inside and not (isinstance(values, Mapping) and part in values):
            return False
        values = values[part]
    return True


def plain(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return values as YAML would give them: lists for tuples, text for paths, numbers of arrays.

    UserError if there is anything else in them.
    """

    def converted(value: Any) -> Any:
        if isinstance(value, PurePath):
            return str(value)
        if isinstance(value, range):
            return list(value)
        if hasattr(value, "tolist"):  # numbers and arrays of Numpy, tensors of torch
            return value.tolist()
        raise TypeError(f"a {type(value).__name__} is no value that YAML has: {value!r}")

    try:
        found = json.loads(json.dumps(values, default=converted))
    except (TypeError, ValueError) as error:
        raise UserError(f"{source}: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, dict):
        raise UserError(f"{source}: a mapping of keys to values is wanted")
    return found
