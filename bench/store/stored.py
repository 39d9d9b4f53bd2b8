"""The base of everything that is stored: types that say which values are possible, and reading."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench import metrics
from bench.store import files
from bench.store.files import Damaged

S = TypeVar("S", bound="Stored")


class Stored(BaseModel):
    """The base of what is stored: frozen, without unknown keys, numbers that JSON has."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        serialize_by_alias=True,
        validate_by_name=True,
    )


def validated(kind: type[S], content: bytes, path: Path) -> S:
    """Build what was stored from bytes whose checksum is right, which need not make it valid.

    Raises Damaged, which names the first key that is wrong.
    """
    try:
        return kind.model_validate_json(files.current(content, path), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        raise Damaged(path, f"damaged ({' '.join(why.split())[:300]})") from None


def _json(value: Any) -> Any:
    """Refuse what JSON does not have, at any depth."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{key!r} is no text")
            _json(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _json(part)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number is wanted")
    elif isinstance(value, int) and not -_WHOLE <= value < _WHOLE:
        raise ValueError("a number of more than 64 bits")
    return value


_WHOLE = 1 << 63

Json = Annotated[Any, AfterValidator(_json)]
Whole = Annotated[int, Field(ge=0, lt=_WHOLE)]
Pixels = Annotated[int, Field(ge=0, le=1 << 53)]  # as many as float64 counts
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=100)]  # names files
Blob = Annotated[str, Field(pattern=r"^blobs/[0-9a-f]{64}\.[a-z0-9]+$")]


def _in_range(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse a score outside the range of its metric, and a number of classes that is not whole."""
    for name, value in scores.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if name.startswith("classes_"):
                if not isinstance(one, int) or one < 0:
                    raise ValueError(f"{name} is {one}, and no number of classes")
            elif not metrics.possible(name, one):
                raise ValueError(f"{name} is {one}, which it cannot be")
    return scores


Scores = Annotated[Mapping[str, float | int | list[float | None] | None], AfterValidator(_in_range)]
Numbers = Annotated[Mapping[str, float | int | None], AfterValidator(_in_range)]
