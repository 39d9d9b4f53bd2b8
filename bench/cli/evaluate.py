"""``python -m bench evaluate``: score stored networks again, on another split, say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import streams
from bench.cli.terminal import Data, Results, complain, experiments, out, say, warn
from bench.errors import UserError
from bench.store import evaluations
from bench.store.files import Unwritable

if TYPE_CHECKING:
    from bench.execution.evaluate_stored import Evaluation

Name = Annotated[str, typer.Argument(metavar="NAME", help="An experiment that was run.")]
Split = Annotated[str, typer.Option(help="val, test or train.")]
Tta = Annotated[
    str | None,
    typer.Option(help="none, or rotations: average predictions [as each trial was set]."),
]
Arm = Annotated[str | None, typer.Option(help="Label of an arm, as reports have it [all].")]
Seed = Annotated[int | None, typer.Option(help="Of the trials [all].")]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def evaluate(
    name: Name,
    split: Split = "val",
    tta: Tta = None,
    arm: Arm = None,
    seed: Seed = None,
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
    quiet: Quiet = False,
) -> int:
    """Score the stored weights of an experiment's trials on a split; nothing is trained.

    The scores are stored beside those of the run, and the report shows them. How often test images
    were looked at is counted.
    """
    trained = experiments(results, [name])[0]
    given = {"split": split, "tta": tta, "arm": arm, "seed": seed}
    words = [w for o, v in given.items() if v is not None for w in (f"--{o}", str(v))]
    elsewhere = [] if results == Path("results") else ["--results", str(results)]
    command = shlex.join(["python", "-m", "bench", "evaluate", name, *words, *elsewhere])
    from bench.execution import evaluate_stored

    prepared = evaluate_stored.prepare(
        trained, split=split, tta=tta, arm=arm, seed=seed, data=data, device=device, command=command
    )
    for line in prepared.without:
        complain(line)
    if prepared.other_code:
        n, s = prepared.other_code, "s" * (prepared.other_code > 1)
        warn(f"{n} network{s} trained by other code than this: what is scored is how they do now")
    status = _evaluate(prepared, command, quiet=quiet) if prepared.jobs else 0
    if not quiet:
        _tell(prepared, name, results, split)
    return 1 if prepared.without else status


def _evaluate(prepared: Evaluation, command: str, *, quiet: bool) -> int:
    """Score what is not scored yet, and return the exit status."""
    from bench.execution import evaluate_stored, progress, signals
    from bench.training.checkpointing import Interrupted

    streams.may_be_lost()
    shown = progress.choose(out, quiet=quiet)
    resume = f"what is finished is stored. To go on: {command}"
    try:
        with signals.on_signals(warn) as stop:
            outcome = evaluate_stored.evaluate(prepared, shown, warn=warn, stop=stop)
    except (KeyboardInterrupt, Interrupted):
        complain(f"interrupted; {resume}")
        return 130
    except Unwritable as error:
        raise UserError(f"{error}; {resume}") from error
    if not quiet:
        counts = f"{outcome.stored} were scored already, {outcome.scored} now"
        networks = f"{prepared.plan.name}: {len(prepared.jobs)} networks"
        say(f"{networks}: {counts}, {len(outcome.failed)} failed")
    for record in outcome.failed:
        complain(f"{progress.trial_name(record)}: {record.status}: {record.reason}")
    return 1 if outcome.failed else 0


def _tell(prepared: Evaluation, name: str, results: Path, split: str) -> None:
    """Say where the scores are, and how often test images were looked at."""
    from bench.report.content.evaluations import looks_sentence

    trained = prepared.store.folder.parent.parent
    if split == "test":
        looks = evaluations.test_looks(experiments(results, [trained.name])[0])
        say(looks_sentence(looks))
    elsewhere = [] if results == Path("results") else ["--results", str(results)]
    report = shlex.join(["python", "-m", "bench", "report", name, *elsewhere])
    say(f"scores in {prepared.store.folder}; for the report: {report}")
