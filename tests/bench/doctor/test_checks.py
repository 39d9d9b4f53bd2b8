"""Checks do not disturb each other: one that breaks down is one line, and the others go on."""

import os
import signal

import pytest
import torch

from bench.doctor import checks
from bench.doctor.checks import CHECKS, Check
from bench.doctor.finding import Machine, ok


def fine(machine):
    return ok("all is well", answer=42)


def broken(machine):
    raise RuntimeError("CUDA error:\nan illegal memory access was encountered")


def dying(machine):
    os.kill(os.getpid(), signal.SIGKILL)


def hanging(machine):
    signal.pause()


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device("cpu"), tmp_path)


@pytest.mark.parametrize("seconds", [None, 60])
def test_one_that_breaks_down_is_off_and_the_others_go_on(machine, seconds):
    made = list(
        checks.run(
            machine,
            [
                Check("a", fine, seconds=seconds),
                Check("b", broken, seconds=seconds),
                Check("c", fine),
            ],
        )
    )
    assert [(one.name, one.finding.state) for one in made] == [
        ("a", "ok"),
        ("b", "off"),
        ("c", "ok"),
    ]
    assert made[0].finding == ok("all is well", answer=42)
    said = "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert said in made[1].finding.text


def test_a_process_that_dies_or_hangs_is_off(machine):
    assert "SIGKILL" in checks.made(Check("dies", dying, seconds=60), machine).text
    assert "longer than 0.3 s" in checks.made(Check("hangs", hanging, seconds=0.3), machine).text


def test_what_is_for_another_device_is_skipped(machine):
    found = checks.made(Check("gpu", broken, device="cuda"), machine)
    assert (found.state, found.text) == ("skipped", "only for cuda (this device: cpu)")


def test_every_check_has_a_name_of_its_own():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
