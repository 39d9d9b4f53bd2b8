"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from bench.errors import nearest


class Settings(BaseModel):
    """Settings that a YAML file may give. Frozen; an unknown key is an error.

    Each room declares the settings that it reads, as a subclass beside the code that uses
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
