"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

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


AnySettings = TypeVar("AnySettings", bound=Settings)


def validate(kind: type[AnySettings], values: Any, *, source: object) -> AnySettings:
    """Return settings of a kind from values as a YAML file gives them.

    Else a UserError names the source and the first key that is wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    """Return the first problem of a validation in one line that begins with its key."""
    first = error.errors()[0]
    # Of a union pydantic also names the member that it tried, such as list[str].
    where = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "union_tag_invalid":
        tag, known = first["ctx"]["tag"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{where}.name: unknown {where}set {tag!r}{nearest(tag, known)}"
    if first["type"] != "value_error":
        given = repr(first["input"])
        message += f" (got {given if len(given) < 60 else given[:57] + '...'})"
    return " ".join(f"{where}: {message}".removeprefix(": ").split())
