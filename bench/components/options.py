"""The options of a component, checked against the signature of what takes them."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from bench.components.names import find
from bench.errors import UserError, nearest

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_ANY_TYPE = ConfigDict(arbitrary_types_allowed=True)


def check(kind: str, name: str, options: Mapping[str, Any], given: tuple[str, ...] = ()) -> None:
    """Raise ValueError if a component lacks an option, takes no such one, or not such a value.

    It is raised too, as validators raise it, if the component is not there or cannot be imported.

    ``given`` names the arguments that are not the user's to choose, such as ``num_classes``. A
    value is checked by the annotation of its parameter, if pydantic can. A component of ours
    without options is not imported.
    """
    try:
        component = find(kind, name)
        if component.is_ours and not options:
            return
        function = component.load()
        takes = parameters(function, given)
    except UserError as error:
        raise ValueError(str(error)) from error
    anything = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values())
    known = [option for option, one in takes.items() if one.kind in _NAMED]
    for option in options:
        if option not in known and not anything:
            hint = nearest(option, known) if known else "; it takes none"
            raise ValueError(f"{kind} {name!r} takes no option {option!r}{hint}")
    for option in known:
        if takes[option].default is inspect.Parameter.empty and option not in options:
            raise ValueError(f"{kind} {name!r} needs the option {option!r}")
    types = _types(function)
    for option, value in options.items():
        if wrong := _wrong(types.get(option, Any), value):
            raise ValueError(f"{kind} {name!r}: {option}: {wrong}")


def parameters(
    function: Callable[..., Any], given: tuple[str, ...] = ()
) -> dict[str, inspect.Parameter]:
    """Return the parameters of a callable by name, but for those that are given to it."""
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:  # something built in
        raise UserError(f"{function!r}: its parameters cannot be read") from error
    return {name: one for name, one in found.items() if name not in given}


def _types(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a callable's parameters; nothing where they cannot be resolved."""
    made_by = function.__init__ if inspect.isclass(function) else function
    try:
        return typing.get_type_hints(made_by, include_extras=True)
    except Exception:  # annotations are any expression, and may name what exists only for checkers
        return {}


def _wrong(kind: Any, value: Any) -> str:
    """Return what is wrong with a value that has to be of a type; nothing if it may be right."""
    try:
        adapter = TypeAdapter[Any](kind, config=_ANY_TYPE)
    except (PydanticSchemaGenerationError, TypeError):
        try:
            adapter = TypeAdapter(kind)
        except Exception:  # a type that pydantic knows nothing of
            return ""
    try:
        adapter.validate_json(json.dumps(value), strict=True)  # a list where a tuple is wanted too
    except ValidationError as error:
        first = error.errors()[0]
        return f"{first['msg']} (got {value!r})"
    except Exception:
        return ""
    return ""
