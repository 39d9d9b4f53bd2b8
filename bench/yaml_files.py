"""YAML files, read strictly: plain values only, every key once, every fault one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bench.errors import UserError

MAX_BYTES = 1 << 20


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        UserError: if it cannot be read, is larger than MAX_BYTES, is no YAML, uses tags or
            aliases, gives a key twice, or holds anything but a mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=PlainLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {problem(error)}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: a mapping of keys to values is wanted")
    return values


def assignment(text: str) -> tuple[str, Any]:
    """Return key and value of a ``key=value`` from the command line, the value read as YAML.

    Raises:
        UserError: if it is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: key=value is wanted")
    try:
        return key, yaml.load(value, Loader=PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"--set {text}: {problem(error)}") from error


def problem(error: Exception) -> str:
    """Return in one line what was wrong, and where."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    reason = getattr(error, "problem", None) or str(error)
    return f"not readable as YAML: {where}{' '.join(reason.split())}"


class PlainLoader(yaml.SafeLoader):
    """YAML without tags, aliases or repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                problem="aliases (*name) are not taken here", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, Any]] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    problem="a key is a single value", problem_mark=key_node.start_mark
                )
            key = (key_node.tag, self.construct_object(key_node))
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key[1]!r} is given twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
