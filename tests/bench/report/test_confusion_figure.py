"""The confusion figure: shares of the stored counts, of the right arms, legible at any size."""

import dataclasses

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bench.analysis.analysis import load
from bench.report.figures.confusion import MOST_CLASSES
from bench.report.figures.matrix import draw_shares
from bench.report.figures.registry import FIGURES
from bench.report.figures.style import INK, PAPER, colours_on_dark, ink_on_tint, tint
from bench.store import checks
from tests.bench.made_stores import details_json


def draw(store):
    return FIGURES["confusion"](load(store))


def shown(axes):
    """Return (row, column) → number of every cell that has one."""
    places = {(int(t.get_position()[1]), int(t.get_position()[0])): t for t in axes.texts}
    return {place: int(text.get_text()) for place, text in places.items()}


def with_scores(record, scores):
    """Return a record with the scores of a single image."""
    counts = {**record.result.counts, "evaluated_images": 1}
    metrics = {**record.result.metrics, **scores}
    result = record.result.model_copy(update={"metrics": metrics, "counts": counts})
    return record.model_copy(update={"result": result})


def with_counts(store, matrices):
    """Store one confusion matrix, of a single image, for each trial: label → matrix."""
    for record in store.records():
        matrix = matrices[record.label]
        entries = [[int(t), int(p), int(matrix[t, p])] for t, p in np.argwhere(matrix)]
        details = {"confusion": {"images": ["a"], "entries": [entries]}}
        store.commit(with_scores(record, checks.scores(matrix)), details)
    return store


def test_numbers_are_shares_of_the_true_class_over_all_seeds(make_store):
    better = np.array([[3, 1, 0], [0, 0, 0], [10, 0, 2990]])
    worse = np.array([[1, 3, 0], [0, 0, 0], [0, 1500, 1500]])
    values = {(0, s): 0.2 for s in range(3)} | {(1, s): 0.6 for s in range(3)}
    store = with_counts(make_store(classes=3, values=values), {"ce": worse, "dice": better})
    figure = draw(store)
    baseline, best = figure.axes
    assert baseline.get_title(loc="left") == "ce (baseline)"
    assert best.get_title(loc="left") == "dice"
    # A class that does not occur has no row, and what rounds to 0 no number.
    assert shown(best) == {(0, 0): 75, (0, 1): 25, (2, 2): 100}
    assert shown(baseline) == {(0, 0): 25, (0, 1): 75, (2, 1): 50, (2, 2): 50}
    hatched = [patch for patch in baseline.patches if patch.get_hatch()]
    assert [patch.get_xy() for patch in hatched] == [(0, 1), (1, 1), (2, 1)]
    assert "The baseline, and the arm with the best mean score" in figure.get_label()


def test_the_baseline_may_be_the_best(make_store):
    values = {(0, 0): 0.6, (1, 0): 0.2}
    figure = draw(make_store(seeds=(0,), values=values, counted=2))
    assert len(figure.axes) == 1
    assert "The baseline, which is also the arm" in figure.get_label()


def test_of_errors_the_lowest_are_the_best(make_store):
    factors = {"train.loss": ["ce", "dice", "focal"]}
    values = {(0, 0): 0.5, (1, 0): 0.6, (2, 0): 0.2}
    found = load(make_store(factors=factors, seeds=(0,), values=values, counted=2))
    errors = dataclasses.replace(
        found, plan=found.plan.model_copy(update={"lower_is_better": True})
    )
    drawn = [FIGURES["confusion"](results).axes for results in (found, errors)]
    titles = [[axes.get_title(loc="left") for axes in figure] for figure in drawn]
    assert titles == [["ce (baseline)", "dice"], ["ce (baseline)", "focal"]]


def test_arms_of_other_classes_are_not_set_side_by_side(make_store):
    store = make_store(seeds=(0,), values={(0, 0): 0.2, (1, 0): 0.6}, counted=2)
    record = store.read("k0001s0")
    result = record.result.model_copy(update={"classes": record.result.classes[::-1]})
    counts = {"confusion": details_json(store, record.key)["confusion"]}
    store.commit(record.model_copy(update={"result": result}), counts)
    assert [axes.get_title(loc="left") for axes in draw(store).axes] == ["ce (baseline)"]


def test_of_many_classes_those_with_most_pixels_are_drawn(make_store):
    classes = MOST_CLASSES + 3
    store = make_store(seeds=(0,), values={(0, 0): 0.2, (1, 0): 0.6}, images=0)
    matrix = np.diag(np.arange(classes))
    for record in store.records():
        changed = {
            "metrics": {"mean_iou": record.result.metrics["mean_iou"]},
            "classes": tuple(f"class {i}" for i in range(classes)),
            "palette": tuple((i, 0, 0) for i in range(classes)),
        }
        result = record.result.model_copy(update=changed)
        store.commit(record.model_copy(update={"result": result}), {})
    figure = draw(with_counts(store, {"ce": matrix, "dice": matrix}))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"class {i}" for i in range(3, classes)]
    assert f"The {MOST_CLASSES} of {classes} classes with most pixels." in figure.get_label()


# Paper and ink.
DARK = colours_on_dark()
MODES = {"light": (PAPER, INK), "dark": (DARK[PAPER], DARK[INK])}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_letters_on_a_tint_have_contrast(share, mode):
    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    paper, ink = MODES[mode]
    *rgb, opacity = tint(share)
    beneath = [
        opacity * part + (1 - opacity) * own for part, own in zip(rgb, to_rgb(paper), strict=True)
    ]
    letters = to_rgb(ink if ink_on_tint(share) == INK else "white")
    light, dark = sorted((luminance(beneath), luminance(letters)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_more_is_darker():
    figure = Figure()
    axes = figure.subplots()
    draw_shares(axes, np.array([[0.0, 0.5, 1.0, np.nan]]), ["row"], list("abcd"))
    FigureCanvasAgg(figure).draw()
    opacities = axes.collections[0].get_facecolor()[:, 3]
    assert opacities[0] == opacities[3] == 0
    assert 0 < opacities[1] < opacities[2] == 1
