"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import UserError, UserErrors, nearest

# What the field abbreviates → the last part of a setting's name.
SHORT = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "wd": "weight_decay",
    "aug": "augmentation",
    "scheduler": "schedule",
}
_CLOSER = 0.8  # as alike as this, a key of the same section is meant, whatever others are called


class Settings(BaseModel):
    """Settings that a YAML file may give. Frozen; an unknown key is an error.

    Each module declares the settings that it reads, as a subclass beside the code that uses
    them; ``bench.experiment.config`` puts them together. ``validate`` says in one line each what
    is wrong with values; a validator of several settings begins its message with one's name.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        protected_namespaces=(),
        allow_inf_nan=False,  # JSON, in which they are stored, has neither
        serialize_by_alias=True,  # a key of YAML that is a word of Python, such as `pass`
    )

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # a setting may be a dict, which has no hash

    @classmethod
    @functools.cache
    def keys(cls) -> dict[str, str]:
        """Return key as YAML has it → name of the attribute that holds its value."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the settings that have a default, with it, as JSON."""
        constructed: dict[str, Any] = cls.model_construct().model_dump(mode="json")
        return constructed


def paths(kind: type[Settings], values: Any = None, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting, sections included: ``train.schedule.gamma``.

    Of a section that may be of several kinds, such as ``data``, these are the settings of the kind
    that ``name`` in ``values`` names; of all kinds where it names none.
    """
    for key, name in kind.keys().items():
        yield prefix + key
        below = values.get(key) if isinstance(values, Mapping) else None
        for section in _sections(kind, name, below):
            yield from paths(section, below, f"{prefix}{key}.")


def _sections(kind: type[Settings], name: str, values: Any) -> list[type[Settings]]:
    """Return of which kinds a section may be: of that which values name, if there is one."""
    kinds = _kinds_of(kind, name)
    if len(kinds) < 2:
        return list(kinds)
    named = values.get("name") if isinstance(values, Mapping) else None
    fields = [(one, field) for one in kinds if (field := one.model_fields.get("name"))]
    chosen = [one for one, field in fields if field.default == named]
    own = [one for one, field in fields if field.is_required() and ":" in str(named)]
    return chosen or own or list(kinds)


@functools.cache
def _kinds_of(kind: type[Settings], name: str) -> tuple[type[Settings], ...]:
    """Return the kinds of sections that a setting's annotation has."""
    types = (one for one in _types_of(kind, name) if isinstance(one, type))
    return tuple(one for one in types if issubclass(one, Settings))


@functools.cache
def _types_of(kind: type[Settings], name: str) -> tuple[Any, ...]:
    """Return the types that a setting's annotation is made of."""
    return tuple(_types(kind.model_fields[name].annotation))


def _types(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation is made of, those of literals included."""
    parts = get_args(annotation)
    if parts:
        for part in parts:
            yield from _types(part)
    else:
        yield annotation if isinstance(annotation, type) or annotation is Any else type(annotation)


def _values(value: Any) -> Iterator[Any]:
    """Yield the single values in lists and mappings, and the keys of the latter."""
    if isinstance(value, list | dict):
        for part in value if isinstance(value, list) else [*value, *value.values()]:
            yield from _values(part)
    else:
        yield value


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a value: where it stands, key by key, and one line."""

    path: tuple[Any, ...]
    line: str
    together: bool = False  # whether other values would be a way out too

    def said_of(self, source: object) -> str:
        """Return one line that begins with the source, whatever keys are called."""
        return f"{source}: {' '.join(self.line.split())}"


AnySettings = TypeVar("AnySettings", bound=Settings)


def validate(
    kind: type[AnySettings], values: Any, *, source: object, folder: Path | None = None
) -> AnySettings:
    """Return settings of a kind from values as a YAML file gives them.

    Components of the user's own are relative to ``folder``, the current one if it is None. Else a
    UserError has a line for each mistake, which names the source and the key.
    """
    found = check(kind, values, folder)
    if isinstance(found, list):
        raise UserErrors(UserError(one.said_of(source)) for one in in_order(found, values))
    return found


def check(
    kind: type[AnySettings], values: Any, folder: Path | None = None
) -> AnySettings | list[Mistake]:
    """Return settings from values, or all that is wrong with these: of each key one mistake.

    Of a value that fits no member of a union, it is why it does not fit the first.
    """
    found = {mistake.path: mistake for mistake in _switches(kind, values, ())}
    try:
        checked = kind.model_validate(values, context={"folder": folder or Path()})
    except ValidationError as error:
        tried: dict[tuple[Any, ...], Any] = {}  # where a union is → the member that pydantic tried
        for one in error.errors(include_url=False):
            path, members = _path(one["loc"], values)
            if all(tried.setdefault(at, member) == member for at, member in members):
                mistake = _mistake(kind, values, path, one)
                found.setdefault(mistake.path, mistake)
    return list(found.values()) if found else checked


def in_order(mistakes: Iterable[Mistake], values: Any) -> list[Mistake]:
    """Return mistakes in the order of the values; keys that are missing come after the others."""

    def place(mistake: Mistake) -> list[int]:
        there, numbers = values, []
        for part in mistake.path:
            keys = list(there) if isinstance(there, Mapping) else []
            at = keys.index(part) if part in keys else len(keys)
            numbers.append(part if isinstance(part, int) and isinstance(there, list) else at)
            there = _below(there, part)
        return numbers

    return sorted(mistakes, key=place)


def suggestion(name: str, known: Iterable[str], siblings: Iterable[str] = ()) -> str:
    """Return an end of a message that names the setting that was meant, if there is one.

    ``known`` are dotted names; a last part that only one of them has is enough. ``siblings`` are
    the keys that the section has in which ``name`` stands: of two that are meant, the likelier.
    """
    names, near = list(known), list(siblings)
    last = name.rpartition(".")[2]
    wanted = SHORT.get(last, last)
    ending = [one for one in names if one.rpartition(".")[2] == wanted]
    close = difflib.get_close_matches(last, near, n=1, cutoff=_CLOSER)
    if len(ending) == 1 and (last in SHORT or not close):
        return f"; did you mean {ending[0]!r}?"
    return nearest(name, near or names)


def _switches(kind: type[Settings], values: Any, above: tuple[Any, ...]) -> Iterator[Mistake]:
    """Yield where true or false is given for a number; pydantic would take them as 1 and 0."""
    keys = kind.keys()
    for key, value in values.items() if isinstance(values, Mapping) else ():
        if key not in keys or not isinstance(value, bool | list | Mapping):
            continue
        path, name = (*above, key), keys[key]
        if isinstance(value, Mapping) and (sections := _sections(kind, name, value)):
            yield from _switches(sections[0], value, path)
            continue
        switches = [one for one in _values(value) if isinstance(one, bool)]
        wanted = set(_types_of(kind, name)) if switches else set()
        if switches and wanted & {int, float} and not wanted & {bool, Any}:
            why = f"a number is wanted, not true or false (got {json.dumps(switches[0])})"
            yield Mistake(path, f"{'.'.join(map(str, path))}: {why}")


def _mistake(kind: type[Settings], values: Any, path: tuple[Any, ...], error: Any) -> Mistake:
    """Return what pydantic found at a path as a line that begins with the key."""
    if error["type"] == "missing":
        path = (*path, error["loc"][-1])
    where = ".".join(map(str, path))
    message = error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "extra_forbidden" | "invalid_key":  # the latter is no text
            *above, key = path
            where, siblings = ".".join(map(str, above)), _siblings(kind, values, above)
            hint = suggestion(str(key), dict.fromkeys(paths(kind, values)), siblings)
            message = f"unknown key {key!r}{hint}"
        case "union_tag_invalid":
            tag = error["ctx"]["tag"]
            known = [one.strip("'[]") for one in error["ctx"]["expected_tags"].split(", ")]
            message = f"unknown {where}set {tag!r}{nearest(tag, known)}"
            path, where = (*path, "name"), f"{where}.name"
        case "union_tag_not_found" if isinstance(error["input"], Mapping):
            path, where, message = (
                (*path, "name"),
                f"{where}.name",
                f"is missing: which {where}set?",
            )
        case "union_tag_not_found":
            message = f"a mapping with a name is wanted (got {_brief(error['input'])})"
        case "missing":
            message = "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            message = f"a mapping of keys to values is wanted (got {_brief(error['input'])})"
        case "value_error":
            if not path:  # of several settings: the message begins with one
                named = tuple(message.partition(": ")[0].split("."))
                return Mistake(named, " ".join(message.split()), together=True)
        case _:
            message += f" (got {_brief(error['input'])})"
    return Mistake(path, " ".join(f"{where}: {message}".removeprefix(": ").split()))


def _path(location: Iterable[Any], values: Any) -> tuple[tuple[Any, ...], list[tuple[Any, Any]]]:
    """Return where in values an error is.

    And (where, which) of each member of a union that pydantic names, since it tried that.
    """
    found: tuple[Any, ...] = ()
    members: list[tuple[Any, Any]] = []
    for part in location:
        below = _below(values, part)
        there = below is not None or (isinstance(values, Mapping) and part in values)
        left_out = bool(members) and members[-1][0] == found  # a key of that member
        if not there and not left_out:
            members.append((found, part))
        else:
            found, values = (*found, part), below
    return found, members


def _below(values: Any, part: Any) -> Any:
    if isinstance(values, Mapping):
        return values.get(part)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return values[part]
    return None


def _siblings(kind: type[Settings], values: Any, above: list[Any]) -> list[str]:
    """Return the keys that the section at a place may have."""
    prefix = "".join(f"{part}." for part in above)
    inside = (one.removeprefix(prefix) for one in paths(kind, values) if one.startswith(prefix))
    return list(dict.fromkeys(one for one in inside if "." not in one))


def _brief(value: Any) -> str:
    given = repr(value)
    return given if len(given) < 60 else given[:57] + "..."
