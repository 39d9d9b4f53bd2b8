"""What a report says of times: how measuring ended, on what, and what does not compare."""

import pytest

from bench.analysis.analysis import load
from bench.report.content.prose import say
from bench.store.results import CudaGraphs, Measuring

QUIET = Measuring(ended="standard error", standard_error=0.004, wanted=0.005)


@pytest.fixture
def said(make_store):
    """The warnings about two arms that were timed, of which the second has other values."""

    def said(environment=None, **values):
        store = make_store(measure="throughput", seeds=(0,), factors={"train.batch_size": [4, 8]})
        for record in list(store.records()):
            memory = record.result.memory
            memory = memory.model_copy(update={"reserved_bytes": memory.process_bytes})
            of_second = record.label == "8"
            update = {"measuring": QUIET, "memory": memory, **(values if of_second else {})}
            other = record.result.model_copy(update=update)
            found = {**record.environment, **((environment or {}) if of_second else {})}
            changed = record.model_copy(update={"result": other, "environment": found})
            store.commit(changed, {})
        return " ".join(" ".join(say(load(store), "warnings")).split())

    return said


def test_times_that_are_as_they_should_be_need_no_words(said):
    quiet = said()
    for word in ("time was up", "--accept-busy", "CUDA graphs", "Peak memory", "devices"):
        assert word not in quiet


def test_measuring_that_ran_out_of_time_is_said(said):
    found = said(measuring=Measuring(ended="time", standard_error=0.0132, wanted=0.005))
    assert "measuring ended because its time was up (timing.measuring)" in found
    assert "up to 1.3 %, where 0.5 % was wanted" in found


def test_a_busy_machine_that_was_accepted_is_said(said, make_store):
    validity = next(
        make_store(measure="throughput", seeds=(0,)).records()
    ).throughput.validity.model_copy(
        update={"accepted": ("the GPU was 12 % busy before the start",)}
    )
    found = said(validity=validity)
    assert "(--accept-busy): the GPU was 12 % busy before the start (1 trial)." in found


def test_of_many_things_that_a_busy_machine_did_a_few_are_named(said, make_store):
    record = next(make_store(measure="throughput", seeds=(0,)).records())
    reasons = tuple(f"other processes took 1.{n} of 2 cores" for n in range(5))
    found = said(validity=record.throughput.validity.model_copy(update={"accepted": reasons}))
    assert "1.2 of 2 cores (1 trial); and similar in 2 other trials." in found
    assert "1.3 of" not in found


@pytest.mark.parametrize(
    ("graphs", "words"),
    [
        (CudaGraphs(recorded=False, skipped=2), "8 was to run as CUDA graphs: torch recorded none"),
        (CudaGraphs(recorded=True, skipped=1), "torch left them out for a part of the work"),
        (CudaGraphs(recorded=True, skipped=0), None),
    ],
)
def test_an_arm_that_never_had_its_graphs_is_named(said, graphs, words):
    found = said(cuda_graphs=graphs)
    assert words in found if words else "CUDA graphs" not in found


def test_memory_of_two_kinds_does_not_compare(said):
    found = said(peak_of="reserved")
    assert "Peak memory of 8 is what torch reserved on the device" in found
    assert "Peak memory of 4 is the main memory of the process" in found


def test_why_the_devices_own_time_is_unknown(said):
    found = said(busy_problem="a call waits for the device in the middle of its work (own.py:3)")
    assert "in a call is unknown of 8: a call waits for the device" in found


def test_devices_are_named(said):
    found = said(environment={"device_name": "NVIDIA A100"})
    assert "measured on different devices: " in found
    assert "NVIDIA A100 (1)" in found
