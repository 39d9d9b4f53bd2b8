"""Whether the names for reports are of what an experiment has, and tell that apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.data.dataset import Dataset
from bench.errors import UserError, nearest
from bench.experiment.levels import Factors, Levels, without_name
from bench.experiment.levels import names as names_of
from bench.settings import Mistake
from bench.store.labels import Labels, same, text


def mistakes(labels: Labels, factors: Factors, include: Sequence[Levels]) -> Iterator[Mistake]:
    """Yield the names of levels that there are not, and where two would be called the same."""
    levels: dict[str, list[Any]] = {name: list(own) for name, own in names_of(factors).items()}
    for row in include:
        for name, level in without_name(row).items():
            levels.setdefault(name, []).append(level)
    for name, given in labels.levels.items():
        path, where = ("labels", "levels", name), f"labels.levels.{name}"
        if name not in levels:
            yield Mistake(path, f"{where}: no such factor{nearest(name, levels)}")
            continue
        known = list(dict.fromkeys(map(text, levels[name])))
        for level in given:
            if level not in known:
                yield Mistake(path, f"{where}: {level!r} is no level of it{nearest(level, known)}")
        if twice := same(labels.level(name, level) for level in known):
            yield Mistake(path, f"{where}: two levels would be called {twice!r}")


def check_data(labels: Labels, experiment: str, datasets: Iterable[Dataset]) -> None:
    """Raise UserError for a name of a dataset or class that there is not, and for one of two."""
    used = list(datasets)
    classes = dict.fromkeys(name for dataset in used for name in dataset.classes)
    names = dict.fromkeys(dataset.name for dataset in used)
    for what, given, known in (
        ("classes: the data have no class", labels.classes, classes),
        ("datasets: the experiment has no dataset", labels.datasets, names),
    ):
        for name in given:
            if name not in known:
                hint = nearest(name, known)
                raise UserError(f"{experiment}: labels.{what} {name!r}{hint}")
    for dataset in used:
        if twice := same(labels.of_classes(dataset.classes)):
            raise UserError(f"{experiment}: labels.classes: two would be called {twice!r}")
