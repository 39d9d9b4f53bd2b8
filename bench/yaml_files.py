"""YAML files, read strictly: plain values only, every key once, every fault one line."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

from bench import plain_files
from bench.errors import UserError

MAX_BYTES = 1 << 20
_OCTAL = re.compile(r"[-+]?0[0-7]+")  # of YAML 1.1; that of YAML 1.2 is text in 1.1
_OCTAL_OF_YAML_1_2 = re.compile(r"0o[0-7]+")


def read_mapping(path: Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds.

    UserError if it cannot be read, is no plain file or larger than MAX_BYTES, is no YAML, uses tags
    or aliases, gives a key twice, or holds anything but a mapping.
    """
    try:
        plain_files.check(path)
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    except OSError as error:
        meant = _nearest_file(path) if isinstance(error, FileNotFoundError) else ""
        raise UserError(f"{path}: cannot be read ({error.strerror}){meant}") from error
    except ValueError as error:
        raise UserError(f"{path}: {problem(error)}") from error
    values = _loaded(text, path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: a mapping of keys to values is wanted")
    return values


def _nearest_file(path: Path) -> str:
    """Return ``; did you mean 'x.yaml'?`` if a file beside a missing one has such a name."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean '{path.with_name(close[0])}'?" if close else ""


def assignment(text: str) -> tuple[str, Any]:
    """Return key and value, read as YAML, of a ``key=value`` of the command line; or UserError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: key=value is wanted")
    return key, _loaded(value, f"--set {text}")


def _loaded(text: str, source: object) -> Any:
    try:
        return yaml.load(text, Loader=PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: {problem(error)}") from error


def problem(error: Exception) -> str:
    """Return in one line what was wrong, and where."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    reason = getattr(error, "problem", None) or str(error)
    return f"not readable as YAML: {where}{' '.join(reason.split())}"


class PlainLoader(yaml.SafeLoader):
    """YAML without tags, aliases, dates or repeated keys; text is Unicode, numbers have 64 bits.

    Numbers have one notation, which YAML 1.1 and 1.2 read alike.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused("aliases (*name) are not taken here", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refused(f"tags ({event.tag}) are not taken here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if node.style is None and _OCTAL_OF_YAML_1_2.fullmatch(value):
            why = f"{value} is text in YAML 1.1; write {int(value, 8)}, or put it in quotes"
            raise _refused(why, node.start_mark)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _refused("half a character (a lone surrogate)", node.start_mark) from None
        return value

    def whole_number(self, node: yaml.ScalarNode) -> int:
        value: int = self.construct_yaml_int(node)
        self.check_notation(node, value)
        if not -(1 << 63) <= value < 1 << 63:
            raise _refused("a number of more than 64 bits", node.start_mark)
        return value

    def number(self, node: yaml.ScalarNode) -> float:
        value: float = self.construct_yaml_float(node)
        self.check_notation(node, value)
        return value

    def check_notation(self, node: yaml.ScalarNode, value: float) -> None:
        """Refuse numbers that YAML 1.1 reads otherwise than they look, or than YAML 1.2 does."""
        text = node.value.lower()
        if ":" in text:
            why = f"{text} counts in sixties in YAML 1.1; write {value}, or put it in quotes"
        elif "_" in text:
            why = f"{text} has an underscore in a number; write {value}, or put it in quotes"
        elif _OCTAL.fullmatch(text):
            plain = int(text)
            why = f"{text} is octal in YAML 1.1; write {plain} if that is meant, else {value}"
        else:
            return
        raise _refused(why, node.start_mark)

    def date(self, node: yaml.ScalarNode) -> None:
        raise _refused("dates are not taken here; put it in quotes", node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, Any]] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refused("a key is a single value", key_node.start_mark)
            key = (key_node.tag, self.construct_object(key_node))
            if key in seen:
                raise _refused(f"key {key[1]!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _refused(why: str, mark: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(problem=why, problem_mark=mark)


PlainLoader.add_constructor("tag:yaml.org,2002:int", PlainLoader.whole_number)
PlainLoader.add_constructor("tag:yaml.org,2002:float", PlainLoader.number)
PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", PlainLoader.date)
