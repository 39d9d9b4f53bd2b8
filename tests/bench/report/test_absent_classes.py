"""Classes without a pixel, as the real trials have one, are named among the warnings."""

from bench.analysis.analysis import load
from bench.report.content import facts, prose
from tests.bench.real_trials import ABSENT, MSRC


def test_a_class_without_a_pixel_is_named_for_each_split(example):
    results = load(example("two arms"))
    absent = [*MSRC][ABSENT]
    assert facts.absent_classes(results) == {"val": [absent], "train": [absent]}
    counts = next(iter(results.counts.values()))
    present = counts.total().sum(1) > 0
    assert present.tolist().count(False) == 1
    said = " ".join(prose.say(results, "warnings"))
    assert f"No mask of the val split has a pixel of {absent}:" in said
    assert f"No training mask has a pixel of {absent}:" in said


def test_speeds_have_no_classes(example):
    assert facts.absent_classes(load(example("speeds"))) == {}
