"""The verbs: ``python -m bench run``, ``report`` and so on; ``--help`` lists them.

The one place where a user's mistake becomes a line on standard error and exit status 2.
Rooms that take long to import are imported by the verb that needs them.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.cli import data, networks
from bench.cli.terminal import Data, Results, Set, complain, data_root, out, say, warn, write
from bench.errors import UserError
from bench.store import reconcile
from bench.store.files import Unwritable
from bench.store.folder import Store
from bench.store.records import pending

if TYPE_CHECKING:
    import torch

    from bench.analysis.compare import Changes
    from bench.experiment.plan import Trial
    from bench.store.reconcile import Review, Stale

app = typer.Typer(
    help="U-Net ablations: run an experiment, report on it, look after its data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Experiments; all if none is named.")
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
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; with ray, trials that share a GPU.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds that a trial may take.")
    ] = None,
    accept_stale: Annotated[
        bool, typer.Option("--accept-stale", help="Take results of other code or data as they are.")
    ] = False,
    lease: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds; claim trials by lease, where locks cannot be trusted."),
    ] = None,
    executor: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of the cluster, for ray.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the trials, measure none.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> int:
    """Measure every trial of an experiment that is not stored yet."""
    from bench.execution import executors, progress, runner, signals
    from bench.experiment import config, environment, plan
    from bench.training.checkpointing import Interrupted

    described = config.load(experiment, settings or [])
    where = environment.find_device(device)
    root = data_root(data)
    perform = executors.choose(
        executor, described.measure, jobs=jobs, timeout=timeout, device=where, address=address
    )
    trials = plan.plan(described, root)
    store = Store(results / described.name, lease=lease)
    if dry_run:
        _show_plan(described.measure, trials, store, root, device=where)
        return 0
    store.check_writable()
    found = reconcile.review(store, plan.planned(described, trials), accept_stale=accept_stale)
    _tell(found)
    accepted = {key: stale.record.key for key, stale in found.accepted.items()}
    store.write_plan(plan.describe(described, trials, _command(), found.accepted))
    if workers is None:
        workers = min(8, max(0, (os.cpu_count() or 1) - 1)) if where.type == "cuda" else 0
    try:
        with signals.on_signals(warn) as stop:
            outcome = runner.run(
                described,
                trials,
                store,
                root=root,
                device=where,
                workers=workers,
                progress=progress.choose(out, quiet=quiet),
                executor=perform,
                stop=stop,
                timeout=timeout,
                accepted=accepted,
            )
    except (KeyboardInterrupt, Interrupted):
        complain(f"interrupted; what is finished is stored. To go on: {_command()}")
        return 130
    except Unwritable as error:
        raise UserError(f"{error}; what is finished is stored. To go on: {_command()}") from error
    if not quiet:
        counts = f"{outcome.stored} were stored already, {outcome.measured} measured now"
        say(f"{described.name}: {len(trials)} trials: {counts}, {len(outcome.failed)} failed")
        say(f"results in {store.folder}; for the report: python -m bench report {described.name}")
    for record in outcome.failed:
        complain(f"{progress.trial_name(record)}: {record.status}: {record.reason}")
    return 1 if outcome.failed else 0


@app.command()
def status(
    names: Names = None,
    results: Results = Path("results"),
) -> int:
    """Count the trials of each experiment: done, failed, and left for `run` to measure."""
    table = Table("experiment", "planned", "done", "failed", "left", box=None)
    for store in _stores(results, names):
        trials = (store.read_plan() or {})["trials"]
        keys = [trial["key"] for trial in trials]
        held, damaged = store.intact(keys)
        for line in damaged:
            warn(line)
        done = sum(record.status == "done" for record in held.values())
        counts = (len(trials), done, len(held) - done, len(pending(held, keys)))
        table.add_row(store.folder.name, *map(str, counts))
    out.print(table)
    return 0


@app.command()
def report(
    names: Names = None,
    results: Results = Path("results"),
    formats: Annotated[
        str, typer.Option("--format", help="Of html, md, csv and tex, comma between.")
    ] = "html,md,csv,tex",
) -> int:
    """Write the report of each experiment, from what is stored and nothing else.

    Unless a single one is named, also results/index.html, which lists them all.
    """
    # Numpy's threads have nothing to share in products as small as a report's, and wait for each
    # other by spinning; beside other work a report took several times as long for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bench.report import write as reports

    stores = _stores(results, names)
    wanted = [name.strip() for name in formats.split(",")]
    single = names is not None and len(names) == 1
    for path in reports.write_all(stores, wanted, index=None if single else results):
        say(f"report: {path}")
    return 0


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Results as they were.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Results as they are.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Allowed loss: of a score [0.01], or as a share of a speed [0.05]."
        ),
    ] = None,
) -> int:
    """Compare two results folders trial by trial; exit with 1 where B is worse than A."""
    from bench.analysis import compare as comparing

    found, alone = comparing.pairs(first, second)
    for name in alone:
        say(f"{name}: only in one of the two folders")
    worse = []
    for name, ours, theirs in found:
        changes = comparing.compare(ours, theirs, tolerance)
        _show_changes(name, changes)
        worse += [f"{name}: {line}" for line in changes.complaints]
    for line in worse:
        complain(line)
    return 1 if worse else 0


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option(help="File to write; standard output if none.")
    ] = None,
) -> int:
    """Write the JSON Schema of experiment files, which lets editors complete them."""
    from bench.experiment import config

    if output is None:
        sys.stdout.write(config.schema())
        return 0
    write(output, config.schema())
    return 0


app.command()(networks.export)
app.command()(networks.convert)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status: 0, 1, 2 or 130 (see README)."""
    # Torch's CPU threads wait for each other by spinning, with GNU's OpenMP for milliseconds.
    # Beside two other busy processes a training step took 50 times as long for it; with a
    # shorter patience twice as long, and on a quiet machine no longer than before.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    try:
        return int(app(arguments, prog_name="python -m bench", standalone_mode=False) or 0)
    except UserError as error:
        complain(str(error))
    except Exception as error:
        # Mistakes in the command line itself. Typer raises click's class or its own, by version.
        if not hasattr(error, "format_message"):
            raise
        complain(error.format_message())
    return 2


def _stores(results: Path, names: list[str] | None) -> list[Store]:
    """Return the stores of the named experiments, or of all that lie in the results folder."""
    known = sorted(path.parent.name for path in results.glob("*/plan.json"))
    if not known:
        raise UserError(f"{results}: no experiment has been run here")
    for name in names or []:
        if name not in known:
            raise UserError(f"{results}: no experiment {name!r}; there are: {', '.join(known)}")
    return [Store(results / name) for name in names or known]


def _show_plan(
    measure: str, trials: list[Trial], store: Store, root: Path, *, device: torch.device
) -> None:
    from bench.execution import progress
    from bench.experiment import estimate
    from bench.measurements import MEASUREMENTS

    keys = [trial.key for trial in trials]
    unfinished = set(pending(store.held(keys), keys))
    seeds: dict[str, list[str]] = {}
    for trial in trials:
        mark = "" if trial.key in unfinished else "✓"
        seeds.setdefault(trial.arm.label, []).append(f"{trial.seed}{mark}")
    table = Table("arm", f"{MEASUREMENTS[measure].replicate}s (✓ stored)", box=None)
    for label, marks in seeds.items():
        table.add_row(label, " ".join(marks))
    out.print(table)
    waiting = [trial for trial in trials if trial.key in unfinished]
    say(f"{len(trials)} trials, {len(trials) - len(waiting)} of them stored")
    if waiting:
        try:
            seconds = estimate.seconds(measure, waiting, store, root=root, device=device)
        except (RuntimeError, MemoryError) as error:  # such a network does not fit, say
            say(f"the time cannot be estimated ({' '.join(str(error).split())[:200]})")
            return
        about = f"about {progress.duration(seconds)} for the other {len(waiting)} on {device}"
        say(f"{about} (good to a factor of two)")


def _tell(found: Review) -> None:
    """Say what was put aside, whether or not anybody wants to hear of progress."""
    for line in found.damaged:
        warn(f"{line}; put aside in damaged/, and measured again")
    for differs, records in _by_difference(found.archived):
        kept = f"kept in {found.archive}; --accept-stale takes finished ones as they are"
        warn(f"{records} stored for other {differs}: measured again ({kept})")
    for differs, records in _by_difference(found.accepted.values()):
        warn(f"{records} stored for other {differs}: taken as they are (--accept-stale)")


def _by_difference(stale: Iterable[Stale]) -> list[tuple[str, str]]:
    """Return what differs, and how many trials were stored for that."""
    counts = Counter(", ".join(one.differs) or "experiments" for one in stale)
    return [(differs, f"{n} trial{'s' * (n > 1)}") for differs, n in counts.items()]


def _show_changes(name: str, changes: Changes) -> None:
    say(
        f"{name}: {changes.matched} trials finished in both, "
        f"{changes.identical} of them with the same {changes.metric}"
    )
    change = "B / A" if changes.relative else "B - A"
    ends = ("A", "B", f"{change} [95 %]", "time B / A [95 %]")
    table = Table("arm", f"{changes.measurement.replicate}s", *ends, box=None)
    for arm in changes.arms:
        table.add_row(escape(arm.arm), str(arm.change.n), *arm.cells(relative=changes.relative))
    wide = Console(width=max(out.width, 140), highlight=False)  # wrapped numbers are hard to read
    wide.print(table)
    for line in changes.alone:
        say(f"only in one: {line}")
    for what, (a, b) in changes.differing.items():
        say(f"differs: {what}: {a} in A, {b} in B")


def _command() -> str:
    return shlex.join(["python", "-m", "bench", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
