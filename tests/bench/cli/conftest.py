"""One small finished run, which all tests of the command line share, and how they start commands."""

import shutil

import pytest

from bench.__main__ import main

SMALL = """
name: small
question: Does anything work?
data: {name: scenes, train: 4, val: 2, test: 1, size: 48, void: class}
model: {base_channels: 4, depth: 2}
train: {crop_size: 32, batch_size: 2, epochs: 1, learning_rate: 1.0e-2, threads: 1}
evaluate: {panels: 1, study: true, checkpoint: true}
factors:
  train.loss: [ce, dice]
seeds: 2
baseline: {train.loss: ce}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, with a small experiment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The results folder of the small experiment after a run. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(SMALL)
    results = folder / "results"
    assert main(["run", str(folder / "small.yaml"), "--results", str(results), "--quiet"]) == 0
    return results


@pytest.fixture
def finished(here, finished_run):
    """A folder to work in, with the small experiment and results of its own."""
    shutil.copytree(finished_run, here / "results")
    return here


@pytest.fixture
def bench(capsys):
    """Return a function: command line → exit status and what it printed on each stream."""

    def run(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
