"""Whether a process has the code, the packages and the images that a run was planned with."""

from __future__ import annotations

import importlib
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.components.names import Component
from bench.errors import UserError
from bench.experiment import code_digest, data_digest
from bench.experiment.trial import Trial
from bench.machine import device_identity, environment
from bench.measurements import Measurement
from bench.training.models import ENCODER

if TYPE_CHECKING:
    import torch


class Changed(UserError):
    """Code or images are not those that the run was planned with; nothing is stored of a trial."""


def check_code(trial: Trial, measurement: Measurement) -> None:
    """Import all of ours that a trial goes through; Changed if it is not what was planned with."""
    components = trial.arm.settings.components(measurement.name)
    edited = _imported(measurement.name, components)
    again = "start the run again: what is stored stays, and what has changed is measured anew"
    if edited:
        raise Changed(f"the code was edited after the run was started ({edited[0]}); {again}")
    found = {
        "code": code_digest.of_measurement(measurement.name),
        "components": code_digest.of_components(components),
    }
    if found != {name: trial.provenance[name] for name in found}:
        raise Changed(
            f"the code on {platform.node()} is not what the run was planned with; {again}"
        )
    model = trial.arm.settings.model
    planned = trial.provenance.get(ENCODER)
    if planned is not None and model.encoder_digest() != {ENCODER: planned}:
        raise Changed(f"{model.encoder_file} is not what the run was planned with; {again}")
    if environment.versions() != trial.provenance["versions"]:
        raise Changed(
            f"torch or another package on {platform.node()} is not the version that the run was "
            f"planned with; {again}"
        )


def check_device(trial: Trial, device: torch.device) -> None:
    """Raise Changed if a trial is to be timed on another device than it was planned for."""
    planned = trial.provenance.get("device")
    if planned is None:
        return
    found = device_identity.of(device)
    if found != planned:
        raise Changed(
            f"--device: the run was planned for {planned}, and {device} of {platform.node()} is "
            f"{found}: times of two devices are not compared; name one, such as --device cuda:0"
        )


def check_data(trial: Trial, measurement: Measurement, root: Path) -> None:
    """Raise Changed if the images that a trial reads are not those that it was planned with."""
    settings = trial.arm.settings
    try:
        found = data_digest.of_trial(trial, measurement.name, root)
        why = "they were changed after the run was started"
    except UserError as error:
        found, why = "", str(error)
    if found != trial.provenance["data"]:
        raise Changed(
            f"stale data: images or labels of {settings.data.name} are not those that the run was "
            f"planned with ({why}); put them back, or start the run again to measure all trials "
            "with the new ones"
        )


@cache
def _imported(measure: str, components: tuple[Component, ...]) -> list[str]:
    """Import the code of a trial; return which modules of it were edited before that.

    What is edited later makes no difference to this process.
    """
    modules = code_digest.modules_of_trial(measure, components)
    for name in sorted(code_digest.closure(modules)):
        importlib.import_module(name)
    for component in components:
        component.load()
    return code_digest.edited(modules, components)
