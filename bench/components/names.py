"""Components by name: ours, those of installed packages, and those of a user's own files.

A component is a callable that makes a loss, a network, an augmentation or a dataset, or computes a
metric. Its name in an experiment file is one of

- a built-in name, such as ``dice``, which always wins;
- a name that an installed package gives as an entry point of ``unet_bench.losses``,
  ``unet_bench.networks``, ``unet_bench.augmentations`` or ``unet_bench.datasets``;
- ``package.module:Name``, of a package that is installed or lies beside the experiment file;
- ``./losses.py:Name``, of a file relative to the experiment file.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from bench.components.built_in import BUILT_IN
from bench.errors import UserError, nearest

GROUPS = {  # kind → group of entry points; reports have to know a metric without its package
    "loss": "unet_bench.losses",
    "network": "unet_bench.networks",
    "augmentation": "unet_bench.augmentations",
    "dataset": "unet_bench.datasets",
}
_MODULE = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<attribute>[A-Za-z_]\w*)")
_PREFIXES = {name.partition(":")[0] for group in BUILT_IN.values() for name in group if ":" in name}
_FILE = re.compile(r"(?P<file>\.{1,2}/.*\.py|/.*\.py):(?P<attribute>[A-Za-z_]\w*)")


class Located(str):
    """The name of a component, with the folder that it is relative to."""

    folder: Path


def located(name: str, folder: Path) -> str:
    """Return a name with the folder that it is relative to."""
    if not is_path(name):
        return name
    found = Located(name)
    found.folder = folder.resolve()
    return found


def _with_folder(name: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
    checked: str = handler(name)
    if isinstance(name, Located):
        return name
    return located(checked, (info.context or {}).get("folder", Path()))


# A setting that names a component. `bench.settings.validate` says which folder it is relative to.
ComponentName = Annotated[str, WrapValidator(_with_folder)]


@dataclass(frozen=True)
class Component:
    """Where a component is: in a module that can be imported, or in a file (``file``)."""

    kind: str  # a key of BUILT_IN
    name: str  # as an experiment file has it
    module: str  # of a file: the name under which it is imported
    attribute: str
    folder: Path | None = None  # of the experiment file, of what is not built in
    file: Path | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is part of this project."""
        return self.name in BUILT_IN[self.kind]

    def load(self) -> Callable[..., Any]:
        """Import the component; UserError if it is not there or its module does not import."""
        try:
            module = self._imported()
        except UserError:
            raise
        except Exception as error:  # whatever the module does when it is imported
            if isinstance(error, ModuleNotFoundError) and self._lacks(error.name or ""):
                where = "is not installed, and not beside the experiment file"
                raise UserError(f"{self.name}: {error.name} {where}") from error
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"{self.name}: cannot be imported ({why})") from error
        found = getattr(module, self.attribute, None)
        if not callable(found):
            offered = [name for name in vars(module) if callable(getattr(module, name))]
            own = [name for name in offered if not name.startswith("_")]
            what = "is not callable" if found is not None else "is not there"
            raise UserError(f"{self.name}: {self.attribute} {what}{nearest(self.attribute, own)}")
        return found  # type: ignore[no-any-return]

    def _imported(self) -> ModuleType:
        if self.folder is not None and str(self.folder) not in sys.path:
            sys.path.append(str(self.folder))  # last, so that it never hides what is installed
        if self.file is None:
            return importlib.import_module(self.module)
        if self.module in sys.modules:
            return sys.modules[self.module]
        if not self.file.is_file():
            raise UserError(f"{self.name}: {self.file}: no such file")
        spec = importlib.util.spec_from_file_location(self.module, self.file)
        if spec is None or spec.loader is None:
            raise UserError(f"{self.name}: {self.file}: is no Python file")
        module = sys.modules[self.module] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[self.module]
            raise
        return module

    def _lacks(self, name: str) -> bool:
        """Tell whether a module that is missing is the component's, not one that it imports."""
        return f"{self.module}.".startswith(f"{name}.")


def is_path(name: str) -> bool:
    """Tell whether a name says where its component is: ``package.module:Name``, ``./x.py:Name``."""
    if name.partition(":")[0] in _PREFIXES:
        return False
    return bool(_MODULE.fullmatch(name) or _FILE.fullmatch(name))


@functools.lru_cache(maxsize=1024)
def _find(kind: str, name: str, folder: Path | None) -> Component:
    path = BUILT_IN[kind].get(name) or _entry_points(kind).get(name, name)
    if found := _FILE.fullmatch(path):
        file = ((folder or Path()) / found["file"]).resolve()
        unique = hashlib.sha256(str(file).encode()).hexdigest()[:12]
        module = f"unet_bench_{file.stem}_{unique}"  # hides no other module, and no other file
        return Component(kind, name, module, found["attribute"], folder, file)
    found = _MODULE.fullmatch(path)
    if found and (path != name or is_path(name)):
        return Component(kind, name, found["module"], found["attribute"], folder)
    known = [*BUILT_IN[kind], *_entry_points(kind)]
    yours = "; of your own: package.module:Name or ./file.py:Name"
    raise UserError(f"unknown {kind} {name!r}{nearest(name, known)}{yours if ':' in name else ''}")


def find(kind: str, name: str) -> Component:
    """Return where the component of a kind and name is, without importing it.

    The kind is a key of ``BUILT_IN``. UserError if there is no such name.
    """
    return _find(kind, str(name), getattr(name, "folder", None))


def known(kind: str, name: str) -> str:
    """Return the name of a component; ValueError, as validators raise it, if there is none."""
    try:
        find(kind, name)
    except UserError as error:
        raise ValueError(str(error)) from error
    return name


def is_known(kind: str, name: str) -> bool:
    """Tell whether a name is one that ``find`` can find."""
    try:
        find(kind, name)
    except UserError:
        return False
    return True


def relative_to(name: str, old: Path, new: Path) -> str:
    """Return a file's name, relative to one folder, as it is relative to another."""
    found = _FILE.fullmatch(name)
    if found is None or found["file"].startswith("/"):
        return name
    moved = os.path.relpath(old / found["file"], new).replace(os.sep, "/")
    return f"{'' if moved.startswith('../') else './'}{moved}:{found['attribute']}"


@functools.cache
def _entry_points(kind: str) -> dict[str, str]:
    group = GROUPS.get(kind)
    points = () if group is None else metadata.entry_points(group=group)
    return {point.name: point.value for point in points}
