"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bench.errors import UserError, nearest


class Settings(BaseModel):
    """Settings that a YAML file may give. Frozen; an unknown key is an error.

    Each module declares the settings that it reads, as a subclass beside the code that uses
    them; ``bench.experiment.config`` puts them together and turns validation errors into one line.
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

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            known = cls.keys()
            for key in values:
                if key not in known:
                    raise ValueError(f"unknown key {key!r}{nearest(str(key), known)}")
        return values

    @model_validator(mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, values: Any) -> Any:
        """Refuse true and false where a number is wanted; pydantic would take them as 1 and 0."""
        keys = cls.keys()
        for key, value in values.items() if isinstance(values, dict) else ():
            switches = [one for one in _values(value) if isinstance(one, bool)]
            if switches and key in keys:
                wanted = set(_types(cls.model_fields[keys[key]].annotation))
                if wanted & {int, float} and not wanted & {bool, Any}:
                    given = json.dumps(switches[0])
                    why = f"a number is wanted, not a switch (got {given}: on or off)"
                    raise ValueError(f"{key}: {why}")
        return values


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


AnySettings = TypeVar("AnySettings", bound=Settings)


def validate(
    kind: type[AnySettings], values: Any, *, source: object, folder: Path | None = None
) -> AnySettings:
    """Return settings of a kind from values as a YAML file gives them.

    Components of the user's own are relative to ``folder``, the current one if it is None. Else a
    UserError names the source and the first key that is wrong.
    """
    try:
        return kind.model_validate(values, context={"folder": folder or Path()})
    except ValidationError as error:
        raise UserError(f"{source}: {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    """Return the first problem of a validation in one line that begins with its key."""
    first = error.errors()[0]
    # Of a union pydantic also names the member that it tried, such as list[str].
    parts = (str(part) for part in first["loc"])
    where = ".".join(part for part in parts if "[" not in part and ":" not in part)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        tag, known = first["ctx"]["tag"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{where}.name: unknown {where}set {tag!r}{nearest(tag, known)}"
    if first["type"] == "union_tag_not_found":
        return f"{where}.name: is missing: which dataset?"
    if first["type"] != "value_error":
        given = repr(first["input"])
        message += f" (got {given if len(given) < 60 else given[:57] + '...'})"
    return " ".join(f"{where}: {message}".removeprefix(": ").split())
