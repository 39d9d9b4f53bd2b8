"""``python -m bench data list | install | check | audit | preview``: look after datasets."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.data_init import data_init
from bench.cli.terminal import (
    Data,
    Set,
    complain,
    help_without_command,
    out,
    say,
    table,
    warn,
    write,
)
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.data.dataset import Dataset as LoadedDataset
    from bench.data.duplicates import Shared

app = typer.Typer(
    help="List, install, check, audit and preview datasets.",
    callback=help_without_command,
    invoke_without_command=True,
)

Dataset = Annotated[str, typer.Argument(metavar="NAME", help="As `data list` gives it.")]
Archives = Annotated[
    list[Path] | None,
    typer.Option("--from", help="A zip or tar archive that you have; may be given again."),
]
Split = Annotated[str, typer.Option(help="train, val or test.")]
Page = Annotated[Path | None, typer.Option(help="Markdown page to write, instead of printing.")]
Picture = Annotated[Path, typer.Option(help="The picture to write.")]
Count = Annotated[int, typer.Option(min=1, max=64, help="How many images.")]


@app.command("list")
def data_list(data: Data = Path("data")) -> int:
    """List the datasets, and say which are ready."""
    from bench.data import inspect

    listed = inspect.listing(data)
    rows = [(one.name, "yes" if one.problem is None else "no", one.about) for one in listed]
    table(("dataset", "ready", "what it is"), rows)
    return 0


app.command("init")(data_init)


@app.command("install")
def data_install(name: Dataset, archives: Archives = None, data: Data = Path("data")) -> int:
    """Download a dataset, or unpack it from archives."""
    from bench.data import inspect
    from bench.execution import progress

    with progress.transfer(out) as moved:
        lines = inspect.install(name, data, archives or [], progress=moved)
    for line in lines:
        say(line)
    return 0


@app.command("check")
def data_check(name: Dataset, settings: Set = None, data: Data = Path("data")) -> int:
    """Read a whole dataset; count sizes, classes and void, and name what is wrong with it.

    Wrong is also the same picture in two splits. One that only looks the same is a warning.
    """
    from bench.data import absent_classes, duplicates, inspect, problems

    dataset = _load(name, settings, data)
    found = inspect.check(dataset)
    for split_name, split in found.items():
        sizes = ", ".join(f"{n} × {h}×{w}" for (h, w), n in split.sizes.most_common(4))
        more = f" and {len(split.sizes) - 4} other sizes" if len(split.sizes) > 4 else ""
        say(f"{split_name}: {split.images} images ({sizes}{more}), void {split.void_share:.1%}")
    if dataset.note:
        say(dataset.note)
    rows = [
        (name, *(f"{s.images_with[index]}, {s.shares[index]:.2%}" for s in found.values()))
        for index, name in enumerate(dataset.classes)
    ]
    table(("class", *(f"{split}: images, pixels" for split in found)), rows)
    errors = [error for split in found.values() for error in split.problems]
    lines = problems.grouped(errors, sum(split.images for split in found.values()))
    for one in duplicates.shared({name: split.looks for name, split in found.items()}):
        lines += _say_shared(one)
    if not errors:
        scored = {split: one for split, one in found.items() if split != "train"}
        refused = [absent_classes.refusal(*one, dataset.classes) for one in scored.items()]
        lines += [line for line in refused if line is not None]
        for line in absent_classes.remarks(found, dataset.classes):
            warn(line)
    for line in lines:
        complain(line)
    return 2 if lines else 0


@app.command("audit")
def data_audit(
    name: Dataset,
    split: Split = "val",
    output: Page = None,
    settings: Set = None,
    data: Data = Path("data"),
) -> int:
    """Score predictors that ignore the images, by every variant of mean IoU."""
    from bench.evaluation import audit

    dataset = _load(name, settings, data)
    found = audit.audit(dataset, split)
    if output is not None:
        from bench.report.formats import audit_page

        write(output, audit_page.render(dataset, split, found, settings or []).encode())
        say(f"page: {output}")
        return 0
    rows = [
        (str(variant), *(f"{score:.3f}" for score in scores))
        for variant, scores in zip(found.table.index, found.table.to_numpy(), strict=True)
    ]
    table(("metric variant", *map(str, found.table.columns)), rows)
    for flag in found.flags:
        say(flag.text)
    return 0


@app.command("preview")
def data_preview(
    name: Dataset,
    output: Picture = Path("preview.png"),
    split: Split = "train",
    count: Count = 8,
    settings: Set = None,
    data: Data = Path("data"),
) -> int:
    """Draw images of a dataset above their labels."""
    from bench.data.preview import preview

    figure, picture = preview(_load(name, settings, data), split, count=count), io.BytesIO()
    try:
        figure.savefig(picture, format=output.suffix[1:] or "png")
    except ValueError as error:
        raise UserError(f"{output}: cannot be written ({error})") from error
    write(output, picture.getvalue())
    say(f"picture: {output}")
    return 0


def _say_shared(shared: Shared) -> list[str]:
    """Say which pictures look the same; return a line on those that are in two splits, if any."""
    from bench.data.files.pairs import first_of

    within = shared.split == shared.earlier
    both = shared.split if within else f"{shared.split} and {shared.earlier}"
    near = first_of([f"{ours} ~ {theirs}" for ours, theirs in shared.near])
    same = first_of([f"{ours} = {theirs}" for ours, theirs in shared.copies])
    if near:
        count = f"{len(shared.near)} of {shared.images} in {shared.split}"
        why = "re-encoded, resized, mirrored or rotated, or neighbouring frames of a video?"
        (say if within else warn)(f"{both}: pictures that look the same: {count} ({near}); {why}")
    if same:
        count = f"{len(shared.copies)} of {shared.images} in {shared.split}"
        line = f"{both}: the same pictures, pixel for pixel: {count} ({same})"
        if not within:
            return [f"{line}; keep each picture in one split"]
        say(line)
    return []


def _load(name: str, settings: list[str] | None, data: Path) -> LoadedDataset:
    from bench import yaml_files
    from bench.data import inspect, registry

    values = dict(yaml_files.assignment(text) for text in settings or [])
    return registry.load(inspect.settings_for(name, values), data)
