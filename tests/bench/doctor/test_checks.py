"""Checks do not disturb each other: one that breaks down is one line, and the others go on."""

import os
import signal

import pytest
import torch

from bench.doctor import checks, compile_modes
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


def test_a_check_of_a_gpu_works_on_the_one_that_was_named(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    second = Machine(torch.device("cuda:1"), tmp_path)
    for kind in (None, "cuda"):
        list(checks._alone(Check("a", fine, kind, seconds=1), second))
    assert chosen == [torch.device("cuda:1")]


def test_no_check_uses_a_gpu_in_this_process():
    """A GPU that one process at a time may use would refuse the next one."""
    here = [check.look for check in CHECKS if check.device == "cuda" and check.seconds is None]
    assert here == [compile_modes.all_modes]  # which starts one


def test_every_check_has_a_name_of_its_own():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
