"""``datasets`` of an experiment file: the same experiment on each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.errors import UserError
from bench.experiment.layers import Layer, source_of
from bench.settings import Mistake
from bench.store.plans import Block

KEY = "datasets"
_HINT = "datasets lists them: [cells, scenes], or {ours: {name: folder, path: …}, theirs: …}"

SCHEMA = {
    "anyOf": [
        {"type": "array", "items": {"type": ["string", "object"]}, "minItems": 2},
        {"type": "object", "minProperties": 2},
    ],
    "description": "in place of data: names, or settings as data has them, in a list or by a name "
    "of each; the experiment is run on each, and arms are compared on each alone",
}


def blocks(values: Mapping[str, Any]) -> Iterator[tuple[Block | None, dict[str, Any]]]:
    """Yield the values of the experiment on each dataset, named ``<name>.<dataset>``.

    Without ``datasets`` these are the values as they are, and no block. UserError if ``datasets``
    are not several, or stand beside ``data``.
    """
    if KEY not in values:
        yield None, dict(values)
        return
    if "data" in values:
        raise UserError(f"{KEY}: stands in place of data; leave data out, or datasets")
    listed = _labelled(values[KEY])
    if len(listed) < 2:
        raise UserError(f"{KEY}: names fewer than two; write data: in its place")
    name, shared = values.get("name", ""), {k: v for k, v in values.items() if k != KEY}
    for label, data in listed.items():
        block = Block(experiment=str(name), dataset=label, datasets=tuple(listed))
        yield block, {**shared, "name": f"{name}.{label}", "data": data}


def said(one: Mistake, block: Block | None, read: Sequence[Layer]) -> str:
    """Return what is wrong in one line that names its place; of a dataset, which it is."""
    if block is None or one.path[:1] != ("data",):
        return one.said_of(source_of(read, one.path))
    return one.said_of(f"{source_of(read, [KEY])}: {KEY}: {block.dataset}")


def _labelled(given: Any) -> dict[str, Any]:
    """Return label → settings of a dataset; a list is labelled by the names of its datasets."""
    found: dict[str, Any] = {}
    rows = given.items() if isinstance(given, Mapping) else ((None, one) for one in _list(given))
    for label, one in rows:
        data = {"name": one} if isinstance(one, str) else one
        if not isinstance(data, Mapping) or not isinstance(data.get("name", ""), str):
            raise UserError(f"{KEY}: {one!r} is no dataset; {_HINT}")
        name = str(label or data.get("name", "")).rpartition(":")[2]
        if name in found:
            raise UserError(f"{KEY}: two are called {name!r}; give each a name of its own: {_HINT}")
        if data in found.values():
            raise UserError(f"{KEY}: {name} is another one over again")
        found[name] = data
    return found


def _list(given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise UserError(f"{KEY}: {given!r} is no list; {_HINT}")
    return given
