"""The verbs: ``python -m bench run | report | status | data | schema``.

The one place where a user's mistake becomes a line on standard error and exit status 2.
Rooms that take long to import are imported by the verb that needs them.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.errors import UserError
from bench.records import Store

if TYPE_CHECKING:
    import torch

    from bench.datasets import Dataset as LoadedDataset
    from bench.plan import Trial

app = typer.Typer(
    help="U-Net ablations: run an experiment, report on it, look after its data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="List, install, check and preview datasets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
out = Console(soft_wrap=True, highlight=False)

Results = Annotated[Path, typer.Option(help="Folder that holds all results.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the datasets [BENCH_DATA, or data].")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Experiments; all if none is named.")
]
Dataset = Annotated[str, typer.Argument(metavar="NAME", help="As `data list` gives it.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
]


@app.command()
def run(
    experiment: Annotated[Path, typer.Argument(help="A YAML file.", metavar="EXPERIMENT.yaml")],
    settings: Set = None,
    results: Results = Path("results"),
    data: Data = None,
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Loader processes [CUDA: up to 8]")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the trials, measure none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> int:
    """Measure every trial of an experiment that is not stored yet."""
    from bench import config, environment, plan, progress, runner

    described = config.load(experiment, settings or [])
    where = environment.find_device(device)
    root = _data_root(data)
    trials = plan.plan(described, root)
    store = Store(results / described.name)
    if dry_run:
        _show_plan(trials, store, root, device=where)
        return 0
    store.check_writable()
    store.write_plan(plan.describe(described, trials, _command()))
    if workers is None:
        workers = min(8, max(0, (os.cpu_count() or 1) - 1)) if where.type == "cuda" else 0
    try:
        outcome = runner.run(
            described,
            trials,
            store,
            root=root,
            device=where,
            workers=workers,
            progress=progress.choose(out, quiet=quiet),
        )
    except KeyboardInterrupt:
        _complain(f"interrupted; what is finished is stored. To go on: {_command()}")
        return 130
    if not quiet:
        found = f"{outcome.stored} were stored already, {outcome.measured} measured now"
        _say(
            f"{described.name}: {len(trials)} trials: {found}, {len(outcome.failed)} of them failed"
        )
        _say(f"results in {store.folder}; for the report: python -m bench report {described.name}")
    for record in outcome.failed:
        _complain(f"{record.label}, seed {record.seed}: {record.status}: {record.reason}")
    return 1 if outcome.failed else 0


@app.command()
def status(
    names: Names = None,
    results: Results = Path("results"),
) -> int:
    """Count planned, stored and failed trials of each experiment."""
    table = Table("experiment", "planned", "done", "failed", "missing", box=None)
    for store in _stores(results, names):
        trials = (store.read_plan() or {})["trials"]
        stored = store.keys()
        states = [store.read(t["key"]).status for t in trials if t["key"] in stored]
        done = states.count("done")
        counts = (len(trials), done, len(states) - done, len(trials) - len(states))
        table.add_row(store.folder.name, *map(str, counts))
    out.print(table)
    return 0


@app.command()
def report(
    names: Names = None,
    results: Results = Path("results"),
    formats: Annotated[str, typer.Option("--format", help="md and csv, comma between.")] = "md,csv",
) -> int:
    """Write the report of each experiment, from what is stored and nothing else."""
    from bench import report as reports

    for store in _stores(results, names):
        _say(f"report: {reports.write(store, [name.strip() for name in formats.split(',')])}")
    return 0


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option(help="File to write; standard output if none.")
    ] = None,
) -> int:
    """Write the JSON Schema of experiment files, which lets editors complete them."""
    from bench import config

    if output is None:
        sys.stdout.write(config.schema())
        return 0
    _write(output, config.schema())
    return 0


@data_app.command("list")
def data_list(data: Data = None) -> int:
    """List the datasets, and say which are ready."""
    from bench import data as data_room

    table = Table("dataset", "ready", "what it is", box=None)
    for listed in data_room.listing(_data_root(data)):
        table.add_row(listed.name, "yes" if listed.problem is None else "no", listed.about)
    out.print(table)
    return 0


@data_app.command("install")
def data_install(
    name: Dataset,
    archives: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A zip or tar archive that you have; may be given again."),
    ] = None,
    data: Data = None,
) -> int:
    """Download a dataset, or unpack it from archives."""
    from bench import data as data_room
    from bench import progress

    with progress.transfer(out) as moved:
        lines = data_room.install(name, _data_root(data), archives or [], progress=moved)
    for line in lines:
        _say(line)
    return 0


@data_app.command("check")
def data_check(name: Dataset, settings: Set = None, data: Data = None) -> int:
    """Read a whole dataset; count sizes, classes and void, and name what is wrong with it."""
    from bench import data as data_room

    found = data_room.check(_load(name, settings, data))
    for split_name, split in found.splits.items():
        sizes = ", ".join(f"{n} × {h}×{w}" for (h, w), n in list(split.sizes.items())[:4])
        more = f" and {len(split.sizes) - 4} other sizes" if len(split.sizes) > 4 else ""
        _say(f"{split_name}: {split.images} images ({sizes}{more}), void {split.void_share:.1%}")
    table = Table("class", *(f"{split}: images, pixels" for split in found.splits), box=None)
    for index, class_name in enumerate(found.classes):
        cells = (f"{s.images_with[index]}, {s.shares[index]:.2%}" for s in found.splits.values())
        table.add_row(escape(class_name), *cells)
    out.print(table)
    for problem in found.problems:
        _complain(problem)
    return 2 if found.problems else 0


@data_app.command("audit")
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
    from bench import audit

    dataset = _load(name, settings, data)
    found = audit.audit(dataset, split)
    if output is not None:
        from bench.report import canary_page

        _write(output, canary_page.render(dataset, split, found, settings or []))
        _say(f"page: {output}")
        return 0
    table = Table("convention", *map(str, found.table.columns), box=None)
    for convention, scores in zip(found.table.index, found.table.to_numpy(), strict=True):
        table.add_row(str(convention), *(f"{score:.3f}" for score in scores))
    out.print(table)
    for flag in found.flags:
        _say(flag.text)
    return 0


@data_app.command("preview")
def data_preview(
    name: Dataset,
    output: Annotated[Path, typer.Option(help="The picture to write.")] = Path("preview.png"),
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    count: Annotated[int, typer.Option(min=1, max=64, help="How many images.")] = 8,
    settings: Set = None,
    data: Data = None,
) -> int:
    """Draw images of a dataset above their labels."""
    from bench import data as data_room

    figure = data_room.preview(_load(name, settings, data), split, count=count)
    try:
        figure.savefig(output)
    except (OSError, ValueError) as error:
        raise UserError(f"{output}: cannot be written ({error})") from error
    _say(f"picture: {output}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status: 0, 1, 2 or 130 (see README)."""
    # Torch's CPU threads wait for each other by spinning, with GNU's OpenMP for milliseconds.
    # Beside two other busy processes a training step took 50 times as long for it; with a
    # shorter patience twice as long, and on a quiet machine no longer than before.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    try:
        return int(app(arguments, prog_name="python -m bench", standalone_mode=False) or 0)
    except UserError as error:
        _complain(str(error))
    except Exception as error:
        # Mistakes in the command line itself. Typer raises click's class or its own, by version.
        if not hasattr(error, "format_message"):
            raise
        _complain(error.format_message())
    return 2


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _data_root(given: Path | None) -> Path:
    return given or Path(os.environ.get("BENCH_DATA") or "data")


def _load(name: str, settings: list[str] | None, data: Path | None) -> LoadedDataset:
    from bench import data as data_room
    from bench import datasets, yaml_files

    values = dict(yaml_files.assignment(text) for text in settings or [])
    return datasets.load(data_room.settings_for(name, values), _data_root(data))


def _stores(results: Path, names: list[str] | None) -> list[Store]:
    """Return the stores of the named experiments, or of all that lie in the results folder."""
    known = sorted(path.parent.name for path in results.glob("*/plan.json"))
    if not known:
        raise UserError(f"{results}: no experiment has been run here")
    for name in names or []:
        if name not in known:
            raise UserError(f"{results}: no experiment {name!r}; there are: {', '.join(known)}")
    return [Store(results / name) for name in names or known]


def _show_plan(trials: list[Trial], store: Store, root: Path, *, device: torch.device) -> None:
    from bench import estimate, progress

    stored = store.keys()
    seeds: dict[str, list[str]] = {}
    for trial in trials:
        mark = "✓" if trial.key in stored else ""
        seeds.setdefault(trial.arm.label, []).append(f"{trial.seed}{mark}")
    table = Table("arm", "seeds (✓ stored)", box=None)
    for label, marks in seeds.items():
        table.add_row(label, " ".join(marks))
    out.print(table)
    waiting = [trial for trial in trials if trial.key not in stored]
    _say(f"{len(trials)} trials, {len(trials) - len(waiting)} of them stored")
    if waiting:
        left = progress.duration(estimate.seconds(waiting, store, root=root, device=device))
        _say(f"about {left} for the other {len(waiting)} on {device} (good to a factor of two)")


def _command() -> str:
    return shlex.join(["python", "-m", "bench", *sys.argv[1:]])


def _say(line: str) -> None:
    out.print(line, markup=False)


def _complain(line: str) -> None:
    sys.stderr.write(f"error: {' '.join(line.split())}\n")


if __name__ == "__main__":
    sys.exit(main())
