"""``run`` of a file with ``datasets``: each in turn, and what ends the whole."""

import pytest

from bench.execution import run_experiment
from bench.execution.run_experiment import Outcome
from bench.training.checkpointing import Interrupted
from tests.bench.cli.conftest import SMALL

TWO = SMALL.replace("name: small", "name: two").replace(
    next(line for line in SMALL.splitlines() if line.startswith("data:")),
    "datasets: [cells, scenes]",
)


@pytest.fixture
def ran(here, monkeypatch):
    """Return a function: what each run gives → the names of the experiments run, as they come."""

    def get(*outcomes):
        names, left = [], iter(outcomes)

        def run(prepared, *_args, **_options):
            names.append(prepared.experiment.name)
            outcome = next(left)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(run_experiment, "run_experiment", run)
        (here / "two.yaml").write_text(TWO, "utf-8")
        return names

    return get


def test_every_dataset_is_run_and_the_last_line_names_the_page_of_all(ran, bench):
    names = ran(Outcome(0, 2, ()), Outcome(2, 0, ()))
    status, out, _ = bench("run", "two.yaml")
    assert (status, names) == (0, ["two.cells", "two.scenes"])
    assert out.splitlines()[-1] == "for one page of all datasets: python -m bench report two"


def test_an_interruption_ends_all(ran, bench):
    names = ran(Interrupted("stopped"))
    status, out, error = bench("run", "two.yaml")
    assert (status, names) == (130, ["two.cells"])
    assert "python -m bench run two.yaml" in error
    assert "for one page" not in out


def test_a_dry_run_lists_the_trials_of_each(ran, bench):
    names = ran()
    status, out, _ = bench("run", "two.yaml", "--dry-run", "--budget", "1h")
    assert (status, names) == (0, [])
    assert [line for line in out.splitlines() if line.startswith("two.")] == [
        "two.cells:",
        "two.scenes:",
    ]
    assert out.splitlines()[-1] == "1h is for all 2 datasets together, in this order"
