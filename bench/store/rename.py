"""Give an experiment another name, and keep its results."""

from __future__ import annotations

import re

from bench.errors import UserError
from bench.store import claims, files
from bench.store.folder import RECONCILE, RUN, Store

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # it is that of a folder too


def check_name(name: str) -> None:
    """Raise ValueError if an experiment cannot have a name: its results are in a folder of it."""
    if not re.fullmatch(NAME, name):
        raise ValueError(f"letters, digits, '_', '-' and '.' make a name (got {name!r})")
    if name.lower() == "index.html":
        raise ValueError(f"{name!r} is the page that lists all experiments; take another name")


def rename(store: Store, name: str) -> Store:
    """Rename an experiment: its plan, then its folder; return its store under the new name.

    Records stay as they are: their keys hold no name. What a crash leaves can be renamed again.
    UserError if that is no name or is taken, the plan is damaged, or somebody uses the results.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None
    new = Store(store.folder.with_name(name))
    if new.folder.exists() or new.folder.is_symlink():
        raise UserError(f"{new.folder}: exists already; take another name")
    held: dict[str, int] = {}
    try:
        for claim in (RECONCILE, RUN):
            path = store.claim_file(claim)
            handle = claims.take(path)
            if handle is None:
                who = claims.holder(path)
                raise UserError(f"{store.folder}: in use ({who}); rename it when that is done")
            held[claim] = handle
        plan = store.read_plan()
        if plan is None:
            raise UserError(f"{store.folder}: holds no experiment (there is no plan.json)")
        store.write_plan(plan.model_copy(update={"name": name}))
        files.at("plan renamed")
        files.move_folder(store.folder, new.folder)
        files.at("folder renamed")
    finally:
        moved = new if new.folder.exists() else store
        for claim, handle in held.items():
            claims.release(moved.claim_file(claim), handle)
    return new
