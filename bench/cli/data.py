"""The verbs about datasets: ``python -m bench data list | install | check | audit | preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bench.cli.terminal import Data, Set, complain, data_root, out, say, write
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.data.dataset import Dataset as LoadedDataset

app = typer.Typer(help="List, install, check, audit and preview datasets.", no_args_is_help=True)

Dataset = Annotated[str, typer.Argument(metavar="NAME", help="As `data list` gives it.")]


@app.command("list")
def data_list(data: Data = None) -> int:
    """List the datasets, and say which are ready."""
    from bench.data import inspect as data_room

    table = Table("dataset", "ready", "what it is", box=None)
    for listed in data_room.listing(data_root(data)):
        table.add_row(listed.name, "yes" if listed.problem is None else "no", listed.about)
    out.print(table)
    return 0


@app.command("install")
def data_install(
    name: Dataset,
    archives: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A zip or tar archive that you have; may be given again."),
    ] = None,
    data: Data = None,
) -> int:
    """Download a dataset, or unpack it from archives."""
    from bench.data import inspect as data_room
    from bench.execution import progress

    with progress.transfer(out) as moved:
        lines = data_room.install(name, data_root(data), archives or [], progress=moved)
    for line in lines:
        say(line)
    return 0


@app.command("check")
def data_check(name: Dataset, settings: Set = None, data: Data = None) -> int:
    """Read a whole dataset; count sizes, classes and void, and name what is wrong with it."""
    from bench.data import inspect as data_room

    found = data_room.check(_load(name, settings, data))
    for split_name, split in found.splits.items():
        sizes = ", ".join(f"{n} × {h}×{w}" for (h, w), n in list(split.sizes.items())[:4])
        more = f" and {len(split.sizes) - 4} other sizes" if len(split.sizes) > 4 else ""
        say(f"{split_name}: {split.images} images ({sizes}{more}), void {split.void_share:.1%}")
    table = Table("class", *(f"{split}: images, pixels" for split in found.splits), box=None)
    for index, class_name in enumerate(found.classes):
        cells = (f"{s.images_with[index]}, {s.shares[index]:.2%}" for s in found.splits.values())
        table.add_row(escape(class_name), *cells)
    out.print(table)
    for problem in found.problems:
        complain(problem)
    return 2 if found.problems else 0


@app.command("audit")
def data_audit(
    name: Dataset,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    output: Annotated[
        Path | None, typer.Option(help="Markdown page to write, instead of printing.")
    ] = None,
    settings: Set = None,
    data: Data = None,
) -> int:
    """Score predictors that know nothing of the images, by every convention for mean IoU."""
    from bench.evaluation import audit

    dataset = _load(name, settings, data)
    found = audit.audit(dataset, split)
    if output is not None:
        from bench.report.formats import audit_page

        write(output, audit_page.render(dataset, split, found, settings or []))
        say(f"page: {output}")
        return 0
    table = Table("convention", *map(str, found.table.columns), box=None)
    for convention, scores in zip(found.table.index, found.table.to_numpy(), strict=True):
        table.add_row(str(convention), *(f"{score:.3f}" for score in scores))
    out.print(table)
    for flag in found.flags:
        say(flag.text)
    return 0


@app.command("preview")
def data_preview(
    name: Dataset,
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("preview.png"),
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    count: Annotated[int, typer.Option(min=1, max=64, help="How many images.")] = 8,
    settings: Set = None,
    data: Data = None,
) -> int:
    """Draw images of a dataset above their labels."""
    from bench.data import inspect as data_room

    figure = data_room.preview(_load(name, settings, data), split, count=count)
    try:
        figure.savefig(output)
    except (OSError, ValueError) as error:
        raise UserError(f"{output}: cannot be written ({error})") from error
    say(f"picture: {output}")
    return 0


def _load(name: str, settings: list[str] | None, data: Path | None) -> LoadedDataset:
    from bench import yaml_files
    from bench.data import inspect as data_room
    from bench.data import registry

    values = dict(yaml_files.assignment(text) for text in settings or [])
    return registry.load(data_room.settings_for(name, values), data_root(data))
