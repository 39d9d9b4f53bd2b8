"""The harness: experiments as data, measured, stored and reported.

>>> import bench
>>> results = bench.run("experiments/loss_ablation.yaml", results="results")  # doctest: +SKIP
>>> results = bench.load("results/loss_ablation")  # doctest: +SKIP
>>> results.comparisons[["factor", "level", "difference", "verdict"]]  # doctest: +SKIP

An experiment may be a mapping too, with the keys of a YAML file; ``docs/python.md`` has examples.

Importing ``bench`` imports nothing else; each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.experiment.config import Experiment
    from bench.report.experiment_results import ExperimentResults

__all__ = ["load", "run"]


def run(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    data: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    executor: str = "local",
    accept_stale: bool = False,
    accept_busy: bool = False,
    budget: str | None = None,
    quiet: bool = False,
) -> ExperimentResults:
    """Measure what is not stored yet of an experiment, as ``python -m bench run`` does.

    Failed trials have a row in ``.trials`` too. After Ctrl-C, or when a budget is spent, the next
    call resumes. What the command prints as a warning, such as that stored trials were measured
    with other code, is a ``UserWarning``; so is that a budget was spent.

    Args:
        experiment: a YAML file; or a mapping with the keys that a file has, in which names of files
            are relative to the current folder; or what ``bench.experiment.config.load`` returns.
        overrides: ``key=value`` with dotted keys, as ``--set`` takes them; of a file or a mapping.
        results: the folder that holds all results.
        data: the folder of the datasets; None for ``$BENCH_DATA``, or ``data``.
        device: ``auto``, ``cuda``, ``cuda:1``, ``mps`` or ``cpu``.
        jobs: how many trials to measure at once, in worker processes; None: on a CPU as many as
            there are cores, on GPUs one each.
        executor: ``local``, or ``ray`` for a cluster.
        accept_stale: take finished results of other code, data or versions as they are.
        accept_busy: take times of a machine that does other work too, and say so.
        budget: how long it may take, as ``6h`` or ``1h30m``: then it stops after the epoch.
        quiet: print nothing.

    Returns:
        The results as data frames, as ``bench.load`` returns them.

    Raises:
        bench.errors.UserError: if a file, a setting or an argument is wrong. Its message has a line
            for each mistake.
    """
    import inspect
    import warnings

    from rich.console import Console

    from bench.execution import budget as time_budget

    begun = None if budget is None else time_budget.begin(budget)  # before torch is imported
    from bench.execution import progress
    from bench.execution.prepare import prepare
    from bench.execution.run_experiment import OutOfBudget, run_experiment

    prepared = prepare(
        experiment,
        overrides=overrides,
        results=results,
        data=data,
        device=device,
        jobs=jobs,
        executor=executor,
        accept_busy=accept_busy,
        budget=begun,
    )
    shown = progress.choose(Console(markup=False, emoji=False), quiet=quiet)
    caller = inspect.stack(context=0)[1]

    def warn(line: str) -> None:
        warnings.warn_explicit(line, UserWarning, caller.filename, caller.lineno)

    try:
        run_experiment(prepared, shown, accept_stale=accept_stale, warn=warn)
    except OutOfBudget as error:
        warn(f"{error}; the next call goes on")
    return load(prepared.store.folder)


def load(folder: str | Path) -> ExperimentResults:
    """Read and analyse the results folder of one experiment, such as ``results/loss_ablation``.

    Nothing is written, and torch is not imported. Of each stored file that is damaged a
    ``UserWarning`` says so; what is left is analysed without it.

    Returns:
        The results as data frames: ``.trials``, ``.arms``, ``.comparisons``, ``.history`` (a row
        for each trial and epoch) and ``.per_class`` (a row for each trial and class). Their
        docstrings name columns and units. In a notebook it shows the answer and the main tables.

    Raises:
        bench.errors.UserError: if the folder holds no experiment, or its plan is damaged.
    """
    import warnings

    from bench.analysis import analysis
    from bench.report.experiment_results import ExperimentResults
    from bench.store.folder import Store

    found = analysis.load(Store(Path(folder)))
    for line in found.damaged:
        warnings.warn(line, stacklevel=2)
    return ExperimentResults(found)
