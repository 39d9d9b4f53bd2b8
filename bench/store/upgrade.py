"""Files of an older schema version, brought up to date when they are read."""

from __future__ import annotations

from typing import Any

# Keys of version 1 → of version 2, in results, details and metrics.
_RENAMED = {
    "panels": "examples",
    "floor_ms": "roofline_ms",
    "forward_floor_ms": "forward_roofline_ms",
    "floor_share": "roofline_share",
    "ceilings": "peaks",
    "farthest": "slowest_layers",
    "hits": "intersection",
    "mass": "predicted",
    "shapes": "per_image",
}
_DETAILS = ("soft", "layers", "shapes", "earlier")


def from_version_1(body: dict[str, Any]) -> dict[str, Any]:
    """Return a record, the details of a trial or a plan as version 2 has them."""
    if "result" in body:
        return {**body, "result": _renamed(body["result"]) or None}
    if "trials" in body:
        metric = body.get("metric")
        return {
            **body,
            "metric": _RENAMED.get(metric, metric) if isinstance(metric, str) else metric,
        }
    # What else details hold is large, and was called the same.
    return {
        _RENAMED.get(key, key): _renamed(value) if key in _DETAILS else value
        for key, value in body.items()
    }


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_RENAMED.get(key, key): _renamed(part) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_renamed(part) for part in value]
    return value
