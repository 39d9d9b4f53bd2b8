"""``python -m bench data init``: look at a folder of images and masks, write its classes.yaml."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import bench
from bench.cli.terminal import Data, say, write
from bench.errors import UserError

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="It has images and masks.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]

_EXPERIMENT = Path("experiments") / "loss_ablation.yaml"


def data_init(folder: Folder, yes: Yes = False, data: Data = Path("data")) -> int:
    """Look at a folder of images and masks, and propose a classes.yaml for it; nothing is copied.

    It is written on yes. A classes.yaml that is there is not replaced.
    """
    from bench.data.proposal.proposal import propose

    if not folder.is_dir() and (data / folder).is_dir():
        folder = data / folder
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    path = folder / "classes.yaml"
    if path.exists() or path.is_symlink():
        raise UserError(f"{path}: exists already, and is not replaced; move it away for a new one")
    proposal = propose(folder)
    for line in proposal.lines:
        say(line)
    say(f"proposed for {path}:")
    for line in proposal.text.splitlines():
        say(f"    {line}")
    if not yes and not sys.stdin.isatty():
        say("nothing is written; with --yes, it is")
        return 0
    if not yes and not typer.confirm(f"Write {path}?"):
        say("nothing is written")
        return 0
    write(path, proposal.text.encode())
    say(f"written: {path}; give the classes their names there")
    for line in _next(folder, data, proposal.folds):
        say(line)
    return 0


def _next(folder: Path, data: Path, folds: int | None) -> list[str]:
    """Return the commands that check the folder and train on it."""
    dealt = "" if folds is None else f", folds: {{count: {folds}}}"
    place = folder.resolve()
    inside = place.is_relative_to(data.resolve())
    where = place.relative_to(data.resolve()).as_posix() if inside else place.as_posix()
    root = ["--data", str(data)] if inside and data != Path("data") else []
    experiment = _EXPERIMENT
    if not experiment.is_file():
        experiment = Path(bench.__file__).parents[1] / _EXPERIMENT
    quoted = where if re.fullmatch(r"[\w./-]+", where) else json.dumps(where, ensure_ascii=False)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", place.name)
    values = [f"data={{name: folder, path: {quoted}{dealt}}}", f"name={name}"]
    check = ["data", "check", "folder", "--set", f"path={quoted}", *root]
    if folds is not None:
        check += ["--set", f"folds={{count: {folds}}}"]
    run = ["run", str(experiment), *(word for value in values for word in ("--set", value)), *root]
    commands = [check, run] if experiment.is_file() else [check]
    return [shlex.join(["python", "-m", "bench", *words]) for words in commands]
