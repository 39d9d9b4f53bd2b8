"""``python -m bench doctor``: look at this machine before anything is measured on it."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.terminal import Data, Results, Set, complain, say
from bench.execution import processes
from bench.measurements import MEASUREMENTS
from bench.store.files import write_whole

if TYPE_CHECKING:
    from bench.doctor.checks import Checked
    from bench.doctor.finding import Machine

File = Annotated[
    Path | None,
    typer.Argument(
        help="A YAML file: its data and threads are checked too.", metavar="[EXPERIMENT.yaml]"
    ),
]
Device = Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")]
SCHEMA = 1


def doctor(
    experiment: File = None,
    settings: Set = None,
    results: Results = Path("results"),
    data: Data = Path("data"),
    device: Device = "auto",
) -> int:
    """Look at this machine before anything is measured on it, and say what to mend.

    All numbers are written into doctor-HOST.json in the folder of the results. Status 1 if
    something is off.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    if experiment is None or experiment.is_file():
        processes.start_server()  # takes as long as what follows
    from bench.doctor import checks

    machine = _machine(experiment, settings or (), results, data, device)
    say(f"looking at {machine.device} of {platform.node()}:")
    made: list[Checked] = []
    try:
        for checked in checks.run(machine):
            made.append(checked)
            if checked.finding.state != "skipped":
                say(_line(checked))
    except KeyboardInterrupt:
        complain("interrupted; nothing is stored")
        return 130
    for why, names in _skipped(made).items():
        say(f"skipped  {', '.join(names)}: {why}")
    seconds = time.perf_counter() - clock
    path = results / f"doctor-{re.sub(r'[^A-Za-z0-9._-]', '_', platform.node())}.json"
    body = _body(machine, experiment, made, started=started, seconds=seconds)
    write_whole(path, json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n")
    counts = [
        f"{sum(one.finding.state == s for one in made)} {s}" for s in ("ok", "off", "skipped")
    ]
    say(f"{', '.join(counts)} in {seconds:.0f} s; all numbers are in {path}")
    return 1 if any(one.finding.state == "off" for one in made) else 0


def _machine(
    experiment: Path | None, overrides: Sequence[str], results: Path, data: Path, device: str
) -> Machine:
    """Return what is looked at; UserError if the experiment or the device is wrong."""
    from bench.doctor.finding import Machine
    from bench.errors import UserError
    from bench.experiment import config, design
    from bench.machine import environment

    found, named = environment.named_device(device), device != "auto"
    if experiment is None:
        if overrides:
            raise UserError("--set: changes settings of an experiment, and none is named")
        return Machine(found, results, data=data, named=named)
    first = config.load_all(experiment, overrides)[0]
    arms, baseline = design.arms(first), design.baseline(first)
    chosen = next((arm for arm in arms if arm.levels == baseline), arms[0]).settings
    data_of_seed = chosen.data.for_seed(first.all_seeds[0])
    chosen = chosen.model_copy(update={"data": data_of_seed})
    trains = MEASUREMENTS[first.measure].trains
    return Machine(found, results, chosen, data, named=named, trains=trains)


def _line(checked: Checked) -> str:
    found = checked.finding
    mend = f". Do this: {found.mend}" if found.mend else ""
    return f"{found.state:<7}  {checked.name}: {found.text}{mend}"


def _skipped(made: Sequence[Checked]) -> dict[str, list[str]]:
    """Return the names of what could not be looked at, by the reason."""
    found: dict[str, list[str]] = {}
    for checked in made:
        if checked.finding.state == "skipped":
            found.setdefault(checked.finding.text, []).append(checked.name)
    return found


def _body(
    machine: Machine,
    experiment: Path | None,
    made: Sequence[Checked],
    *,
    started: datetime,
    seconds: float,
) -> dict[str, Any]:
    """Return what is written down, as JSON."""
    from bench.doctor import driver

    return {
        "schema": SCHEMA,
        "host": platform.node(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "experiment": None if experiment is None else str(experiment),
        "environment": driver.described(machine),
        "checks": [
            {
                "name": one.name,
                **dataclasses.asdict(one.finding),
                "seconds": one.seconds,
            }
            for one in made
        ],
    }
