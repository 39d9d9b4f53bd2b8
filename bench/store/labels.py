"""What reports call levels, classes and datasets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import Field, field_validator

from bench.settings import Settings

Names = dict[str, str]


class Labels(Settings):
    """Names for reports. No key of a trial depends on them, and nothing that is stored of one."""

    levels: dict[str, Names] = Field(
        {}, description="factor, or setting of include → its level → what to call it"
    )
    classes: Names = Field({}, description="class → what to call it")
    datasets: Names = Field({}, description="dataset → what to call it")

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_as_text(cls, levels: Any) -> Any:
        """Take numbers and switches as keys: levels may be any of these."""
        if not isinstance(levels, dict):
            return levels
        return {
            name: {text(level): label for level, label in own.items()}
            if isinstance(own, dict)
            else own
            for name, own in levels.items()
        }

    @field_validator("levels", "classes", "datasets")
    @classmethod
    def _say_something(cls, names: Any) -> Any:
        """Refuse blank names, and those of several lines."""
        for label in names.values():
            for one in label.values() if isinstance(label, dict) else [label]:
                if not one.strip() or not one.isprintable():
                    raise ValueError(f"a name of one line is wanted (got {one!r})")
        return names

    def level(self, factor: str, level: Any) -> str:
        """Return what a level of a factor, or of another setting, is called."""
        return self.levels.get(factor, {}).get(text(level), text(level))

    def of_classes(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Return what classes are called."""
        return tuple(self.classes.get(name, name) for name in classes)


def text(value: Any) -> str:
    """Return a setting's value as YAML would take it: ``true``, ``0.01``, ``dice``."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def same(names: Iterable[str]) -> str | None:
    """Return a name that occurs twice; None if there is none."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
