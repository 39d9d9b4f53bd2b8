"""`doctor` as a command: its lines, its file and its exit status."""

import json

import pytest

from bench.doctor import checks
from bench.doctor.checks import Checked
from bench.doctor.finding import off, ok, skipped
from bench.execution import processes

WELL = [Checked("cores", ok("all usable", usable=2), 0.1), Checked("a", skipped("no GPU"), 0.0)]
SCENES = "scenes, train: 4, val: 2, test: 1, size: 48"
ILL = Checked("file locks", off("locks keep nobody out", "put --results elsewhere"), 0.2)


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    """Start no processes: no check here needs one."""
    monkeypatch.setattr(processes, "start_server", lambda: None)


@pytest.mark.parametrize(("found", "expected"), [(WELL, 0), ([*WELL, ILL], 1)])
def test_lines_file_and_status(here, bench, monkeypatch, found, expected):
    seen = []

    def run(machine):
        seen.append(machine)
        yield from found

    monkeypatch.setattr(checks, "run", run)
    status, out, err = bench("doctor", "small.yaml", "--device", "cpu", "--results", "kept")
    assert (status, err) == (expected, "")
    assert seen[0].settings.train.loss == "ce"  # the baseline's
    assert "ok       cores: all usable\n" in out
    assert "skipped  a: no GPU\n" in out
    mend = "off      file locks: locks keep nobody out. Do this: put --results elsewhere\n"
    assert (mend in out) == bool(expected)
    (file,) = (here / "kept").iterdir()
    stored = json.loads(file.read_text())
    assert file.name.startswith("doctor-")
    assert [one["state"] for one in stored["checks"]] == [one.finding.state for one in found]
    assert stored["checks"][0]["numbers"] == {"usable": 2}


def test_data_that_are_not_installed_are_no_mistake(here, bench, monkeypatch):
    """A check says so, and the others are made."""
    (here / "msrc.yaml").write_text((here / "small.yaml").read_text().replace(SCENES, "msrc_v2"))
    monkeypatch.setattr(checks, "run", lambda machine: iter(WELL))
    assert bench("doctor", "msrc.yaml", "--device", "cpu")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "gpu"], "--device: unknown device 'gpu'"),
        (["smal.yaml", "--device", "cpu"], "smal.yaml"),
        (
            ["--set", "train.threads=1", "--device", "cpu"],
            "--set: changes settings of an experiment",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(here, bench, arguments, said):
    status, _, err = bench("doctor", *arguments)
    assert status == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (here / "results").exists()
