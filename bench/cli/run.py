"""``python -m bench run``: measure what is not stored yet."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import streams
from bench.cli.terminal import Data, Results, Set, complain, out, say, table, warn
from bench.errors import UserError
from bench.execution import budget as time_budget
from bench.measurements import MEASUREMENTS
from bench.store.files import Unwritable
from bench.store.records import pending

if TYPE_CHECKING:
    from bench.execution.prepare import Prepared

File = Annotated[Path, typer.Argument(help="A YAML file.", metavar="EXPERIMENT.yaml")]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Loader processes [CUDA: up to 8]")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Trials at once; with ray, those that share a GPU. [CPU: as many as there are cores]",
    ),
]
Timeout = Annotated[float | None, typer.Option(min=0, help="Seconds that a trial may take.")]
Stale = Annotated[
    bool, typer.Option("--accept-stale", help="Take results of other code or data as they are.")
]
Busy = Annotated[
    bool, typer.Option("--accept-busy", help="Time on a machine that does other work too.")
]
ExecutorName = Annotated[str, typer.Option(help="local, or ray for a cluster.")]
Address = Annotated[str | None, typer.Option(help="Of the cluster, for ray.")]
Mps = Annotated[
    str, typer.Option(help="NVIDIA's MPS for trials that share a GPU: auto, on or off.")
]
Time = Annotated[
    str | None, typer.Option(metavar="TIME", help="Stop after the epoch then: 6h, 90m, 1h30m.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the trials, measure none.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def run(
    experiment: File,
    settings: Set = None,
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    workers: Workers = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    accept_stale: Stale = False,
    executor: ExecutorName = "local",
    address: Address = None,
    mps: Mps = "auto",
    accept_busy: Busy = False,
    budget: Time = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> int:
    """Measure every trial of an experiment that is not stored yet."""
    again = _command(locals())
    command = _command({**locals(), "budget": None})  # a report's, which has all of it measured
    begun = None if budget is None else time_budget.begin(budget)  # before torch is imported
    from bench.execution.prepare import prepare
    from bench.experiment import config

    prepared = [
        prepare(
            one,
            results=results,
            data=data,
            device=device,
            workers=workers,
            jobs=jobs,
            timeout=timeout,
            executor=executor,
            address=address,
            mps=mps,
            accept_busy=accept_busy,
            budget=begun,
        )
        for one in config.load_all(experiment, settings or ())
    ]
    if dry_run:
        for one in prepared:
            if one.experiment.block is not None:
                say(f"{one.experiment.name}:")
            _show_plan(one)
        if len(prepared) > 1 and budget is not None:
            say(f"{budget} is for all {len(prepared)} datasets together, in this order")
        return 0
    status = 0
    for one in prepared:
        one = dataclasses.replace(one, command=command)
        status = max(status, _run(one, again, accept_stale=accept_stale, quiet=quiet))
        if status > 1:  # it was interrupted, or its time is spent
            return status
    if prepared[0].experiment.block is not None and not quiet:
        name = prepared[0].experiment.block.experiment
        say(f"for one page of all datasets: {_report_of(name, results)}")
    return status


def _command(given: Mapping[str, Any]) -> str:
    """Return the line that runs an experiment so again, wherever its options came from."""
    words = ["python", "-m", "bench", "run", str(given["experiment"])]
    words += [word for setting in given["settings"] or () for word in ("--set", setting)]
    for name, parameter in inspect.signature(run).parameters.items():
        value = given[name]
        if name not in ("experiment", "settings") and value != parameter.default:
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def _run(prepared: Prepared, again: str, *, accept_stale: bool, quiet: bool) -> int:
    """Run an experiment, say what came of it, and return the exit status.

    ``again`` is the command that goes on after an interruption.
    """
    from bench.execution import progress, run_experiment, signals
    from bench.training.checkpointing import Interrupted

    streams.may_be_lost()  # a run outlives its terminal and its log
    shown = progress.choose(out, quiet=quiet)
    resume = f"what is finished is stored. To go on: {again}"
    try:
        with signals.on_signals(warn) as stop:
            outcome = run_experiment.run_experiment(
                prepared, shown, accept_stale=accept_stale, warn=warn, stop=stop
            )
    except run_experiment.OutOfBudget as error:
        warn(f"{error}. To go on: {again}")
        return 3
    except (KeyboardInterrupt, Interrupted):
        complain(f"interrupted; {resume}")
        return 130
    except Unwritable as error:
        raise UserError(f"{error}; {resume}") from error
    name, failed = prepared.experiment.name, outcome.failed
    if not quiet:
        counts = f"{outcome.stored} were stored already, {outcome.measured} measured now"
        if outcome.scored:
            counts += f" ({outcome.scored} of them from stored weights, without training)"
        total = outcome.stored + outcome.measured
        say(f"{name}: {total} trials: {counts}, {len(failed)} failed")
        folder = prepared.store.folder
        say(f"results in {folder}; for the report: {_report_of(name, folder.parent)}")
    for record in failed:
        complain(f"{progress.trial_name(record)}: {record.status}: {record.reason}")
    return 1 if failed else 0


def _report_of(name: str, results: Path) -> str:
    elsewhere = [] if results == Path("results") else ["--results", str(results)]
    return shlex.join(["python", "-m", "bench", "report", name, *elsewhere])


def _show_plan(prepared: Prepared) -> None:
    """List the trials of each arm, and say how long those that are not stored may take.

    With a budget, also how many of them that is enough for. Of what is stored
    the records are read; details and pictures are looked at by a run.
    """
    from bench.execution import run_experiment
    from bench.experiment import plan

    trials, experiment, stage = prepared.trials, prepared.experiment, prepared.stage
    folder = prepared.store.folder
    described = plan.describe(
        experiment, stage.reported, prepared.command, folder=folder, tuning=stage.tuning
    )
    held, damaged = prepared.store.of_plan(described)
    for line in damaged:
        warn(f"{line}; `run` measures this trial again")
    unfinished = set(pending(held, (trial.key for trial in trials)))
    seeds: dict[str, list[str]] = {}
    for trial in stage.reported:
        mark = "" if trial.key in unfinished else "✓"
        seeds.setdefault(trial.arm.label, []).append(f"{trial.seed}{mark}")
    replicate = MEASUREMENTS[experiment.measure].replicate
    rows = [(label, " ".join(marks)) for label, marks in seeds.items()]
    table(("arm", f"{replicate}s (✓ stored)"), rows)
    for line in [*stage.searched(), *stage.chosen(), *filter(None, [stage.said])]:
        say(line)
    say(f"{len(trials)} trials, {len(trials) - len(unfinished)} of them stored")
    scored = run_experiment.stored_trainings(prepared, unfinished)
    if scored:
        say(f"{len(scored)} more are scored with stored weights, without training")
    for line in _estimate(prepared, unfinished - scored.keys()):
        say(line)
    if stage.more:
        say(f"at most {stage.more} more follow, {stage.more_when}")


def _estimate(prepared: Prepared, unfinished: set[str]) -> Iterator[str]:
    """Yield how long trials take, and which of them fit into the budget."""
    from bench.execution import progress
    from bench.experiment import estimate

    measure, store, device = prepared.experiment.measure, prepared.store, prepared.device
    trials = [trial for trial in prepared.trials if trial.key in unfinished]
    if not trials:
        return
    try:
        each = estimate.each(measure, trials, store, root=prepared.root, device=device)
    except (RuntimeError, MemoryError) as error:  # such a network does not fit, say
        yield f"the time cannot be estimated ({' '.join(str(error).split())[:200]})"
        return
    most = "at most " * any(trial.arm.settings.train.patience for trial in trials)
    jobs = min(prepared.jobs, len(trials))
    time = progress.duration(sum(each.values()) / jobs)
    at_once = f", {jobs} at a time" if jobs > 1 else ""
    about = f"{most}about {time} for the other {len(trials)}{at_once}"
    yield f"{about}, on {device} (good to a factor of two)"
    if prepared.budget is not None:
        yield _fitting(prepared, prepared.budget, each)


def _fitting(prepared: Prepared, budget: time_budget.Budget, each: Mapping[str, float]) -> str:
    """Say how many trials fit into a budget, and with which seeds every arm is measured then."""
    from bench.experiment.priority import first_things_first

    stage, jobs = prepared.stage, prepared.jobs
    order = first_things_first(prepared.experiment, stage, each.keys())
    ends = itertools.accumulate(each[trial.key] for trial in order)
    fit = sum(end <= budget.seconds * jobs for end in ends)
    later = {trial.key for trial in order[fit:]}
    replicate = MEASUREMENTS[prepared.experiment.measure].replicate
    at_once = f", {jobs} at a time if that slows none of them" if jobs > 1 else ""
    if stage.tuning is not None and not stage.tuning.chosen:
        what = "all" if fit == len(order) else f"about {fit}"
        return f"{budget.text} is enough for {what} of {len(order)} tuning trials{at_once}"
    if not later:
        return f"{budget.text} is enough for all of these{at_once}"
    complete = ", ".join(map(str, stage.complete(later))) or "none"
    return (
        f"{budget.text} is enough for about {fit} of these{at_once}; then {replicate}s measured "
        f"with every arm: {complete}"
    )
