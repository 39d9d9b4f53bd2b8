"""What the figures show, read back from the figures; and that they can be read."""

import itertools

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from skimage.color import rgb2lab

from bench.analysis.analysis import load
from bench.errors import UserError
from bench.report.figures.encode import encode, light_and_dark
from bench.report.figures.examples import VOID_STRIPES, paint, read_image, read_labels
from bench.report.figures.lettering import one_line, text_width, wrapped
from bench.report.figures.registry import FIGURES
from bench.report.figures.style import (
    HUES,
    INK,
    PAPER,
    WIDTH,
    arm_styles,
    colours_on_dark,
)
from bench.store.folder import Store
from tests.bench.conftest import EXAMPLES
from tests.bench.made_stores import details_json

SCORED = {"curves", "classes", "confusion", "original_study"}
USUAL = {"effects", "factors", "panels", *SCORED}
# Which figures have something to show.
SHOWN = {
    "two arms": USUAL,
    "one arm": {"arms", "panels", *SCORED},
    "one seed": USUAL,
    "seven arms": {"arms", "interactions", *USUAL},
    "24 arms": {"arms", "interactions", *USUAL},
    "four arms": {"arms", "interactions", *USUAL},
    "one at a time": {"arms", *USUAL},
    "a margin": USUAL,
    "no baseline": USUAL - {"effects"},
    "nothing run": set(),
    "all failed": {"curves"},  # the epochs before the end
    "no history, no panels": {"effects", "factors", "classes", "confusion"},
    "naughty names": USUAL,
    "speeds": {
        "effects", "factors", "arms", "interactions", "throughput", "roofline", "memory",
    },
}  # fmt: skip


def draw(name, store):
    return FIGURES[name](load(store))


def colours(axes):
    """Return the colours of all markers or lines that have a hue of their own."""
    return {to_hex(line.get_color()) for line in axes.get_lines()}


def texts(figure):
    """Return the texts that are drawn; ticks outside the limits exist, but are not."""
    drawn, draw_text = [], Text.draw

    def record(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw_text(text, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return drawn


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_store_has_the_figures_that_it_can_have(document, name):
    assert document(name).figures.keys() == SHOWN[name]


@pytest.mark.parametrize(
    ("store", "name"), [(store, name) for store, names in SHOWN.items() for name in sorted(names)]
)
def test_every_figure_has_a_caption_and_legible_labels(document, store, name):
    figure = document(store).figures[name]
    assert figure.get_size_inches()[0] == WIDTH  # so that letters have one size
    title, _, rest = figure.get_label().partition(". ")
    assert title
    assert rest.endswith(".")
    drawn, boxes, words = texts(figure), [], []
    for text in drawn:
        box = text.get_window_extent()
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1, text.get_text()
        assert box.y1 <= figure.bbox.y1 + 1, text.get_text()
        assert text.get_fontsize() >= 8
        if text.get_rotation() in (0, 90):
            boxes.append((box.x0 + 1, box.x1 - 1, box.y0 + 1, box.y1 - 1))
            words.append(text.get_text())
    x0, x1, y0, y1 = np.array(boxes).T[:, :, None]
    across = np.minimum(x1, x1.T) - np.maximum(x0, x0.T)
    along = np.minimum(y1, y1.T) - np.maximum(y0, y0.T)
    overlapping = np.triu((across > 0) & (along > 0), 1)
    assert not [(words[i], words[j]) for i, j in np.argwhere(overlapping)]


@pytest.mark.parametrize("name", sorted(SHOWN["four arms"]))
def test_the_same_store_gives_the_same_bytes(example, document, name):
    store, drawn = example("four arms"), document("four arms").figures[name]
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": "x"}):
        again = draw(name, store)
        for suffix in ("png", "svg"):
            assert encode(again, suffix) == encode(drawn, suffix)
    assert b"matplotlib" not in encode(drawn, "svg")[:300].lower()  # version and date stay out


def test_dark_figures_differ_in_their_colours_alone(document):
    for name in SHOWN["24 arms"] - {"panels"}:
        light, dark = (svg.decode() for svg in light_and_dark(document("24 arms").figures[name]))
        for own, other in colours_on_dark().items():
            assert f": {own}" not in dark
            light = light.replace(f": {own}", f": {other}")
        assert light == dark
    assert {INK, PAPER, arm_styles("abcdefgh")["h"].colour} <= colours_on_dark().keys()


def test_numbers_are_shortened_but_not_those_of_a_text(make_store):
    store = make_store(factors={"train.learning_rate": [0.00012345, 0.1]}, seeds=(0,))
    figure = draw("factors", store)
    (light, _), whole = light_and_dark(figure), encode(figure, "svg")
    assert b">0.00012345 (baseline)<" in light
    assert len(light) < 0.9 * len(whole)


def test_the_original_study_s_figure_holds_both_scores_and_the_shaded_part(document):
    figure, results = document("four arms").figures["original_study"], document("four arms").results
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    titles = [" ".join(axes.get_title(loc="left").split()) for axes in drawn]
    assert titles == list(results.arms)
    *runs, study_line, true_line = drawn[0].get_lines()
    assert len(runs) == 2  # of the one seed, the same again
    assert runs[1].get_ydata() == pytest.approx(true_line.get_ydata())
    assert study_line.get_ydata()[-1] == pytest.approx(0.8)
    assert study_line.get_ydata()[0] == pytest.approx(0.1)
    assert 0 < true_line.get_ydata()[-1] < 1
    shaded = drawn[0].collections[0].get_paths()[0].vertices[:, 1]
    assert shaded.max() == pytest.approx(0.65)


def test_arms_look_different_and_as_the_plan_places_them():
    labels = [f"arm {i}" for i in range(24)]
    styles = arm_styles(labels)
    assert len({style.colour for style in styles.values()}) >= 21
    assert len(set(styles.values())) == 24
    assert arm_styles(labels[:3]) == {label: styles[label] for label in labels[:3]}
    neighbours = itertools.pairwise(styles.values())
    assert all(one.colour != other.colour for one, other in neighbours)


# Viénot, Brettel and Mollon (1999), and Machado et al. (2009) for tritanopia: linear RGB
# as seen without one kind of cone.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]],
    "deuteranopia": [[0.2928, 0.7072, 0], [0.2928, 0.7072, 0], [-0.0223, 0.0223, 1]],
    "tritanopia": [
        [1.2555, -0.0767, -0.1788],
        [-0.0784, 0.9308, 0.1476],
        [0.0047, 0.6914, 0.3039],
    ],
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_hues_stay_apart_without_some_cones(kind):
    rgb = np.array([[int(hue[i : i + 2], 16) / 255 for i in (1, 3, 5)] for hue in HUES])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(BLINDNESS[kind]), 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(encoded[None])[0]
    distance = np.linalg.norm(lab[:, None] - lab, axis=-1)
    assert distance[np.triu_indices(len(HUES), 1)].min() > 10  # 2.3 is just noticeable


def test_the_same_arm_has_the_same_colour_everywhere(document):
    results, figures = document("seven arms").results, document("seven arms").figures
    label = "dice+ce · transposed"
    expected = arm_styles(results.arms)[label].colour
    arms = figures["arms"].axes[0]
    row = list(results.arms).index(label)
    dots = [
        line
        for line in arms.get_lines()
        if line.get_linestyle() == "None" and all(abs(line.get_ydata() - row) < 0.5)
    ]
    dots = [line for line in dots if len(line.get_ydata())]
    assert [to_hex(line.get_color()) for line in dots] == [expected]
    for name in ("factors", "curves"):
        figure = figures[name]
        assert all(expected in colours(axes) for axes in figure.axes)
        shown = {
            text.get_text(): to_hex(line.get_color())
            for legend in [*figure.legends, figure.axes[-1].get_legend()]
            if legend
            for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
        }
        assert shown[label] == expected
    above = {
        axes.get_title(loc="left").replace("\n", " "): to_hex(axes.spines["top"].get_edgecolor())
        for axes in figures["panels"].axes
    }
    assert above[label] == expected


def test_dots_are_the_stored_scores_and_the_bar_their_mean(make_store):
    values = {(0, 0): 0.2, (0, 1): 0.3, (0, 2): 0.7, (1, 0): 0.5, (1, 2): 0.6}
    figure = draw("factors", make_store(values=values, failures={(1, 1): "oom"}))
    lines = figure.axes[0].get_lines()
    dots = [list(line.get_xdata()) for line in lines if line.get_marker() == "o"]
    assert dots == [[0.2, 0.3, 0.7], [0.5, 0.6]]
    heights = [line.get_ydata() for line in lines if line.get_marker() == "o"]
    assert all(len(set(y)) == len(y) for y in heights)  # equal scores stay two dots
    bars = [line.get_xdata()[0] for line in lines if line.get_linewidth() > 2]
    assert bars == pytest.approx([0.4, 0.55])
    dashed = [line.get_xdata()[0] for line in lines if line.get_linestyle() == "--"]
    assert dashed == pytest.approx([0.4])
    assert "n = 2, 1 without result" in [t.get_text() for t in texts(figure)]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["ce (baseline)", "dice"]


def test_effects_show_difference_interval_and_verdict(document):
    found = document("seven arms").results.effects
    axes = document("seven arms").figures["effects"].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [
        "train.loss against ce", "dice", "dice+ce",
        "model.upsampling against bilinear", "transposed",
        "against ce · bilinear", "smp_unet",
    ]  # fmt: skip
    for one in found.comparisons:
        y = names.index(one.level)
        here = [line for line in axes.get_lines() if set(line.get_ydata()) == {y}]
        interval, dot = (
            next(line.get_xdata() for line in here if line.get_marker() in markers)
            for markers in (("None",), ("o", "^", "v", "s"))
        )
        assert interval == pytest.approx([100 * one.low, 100 * one.high])
        assert dot == pytest.approx([100 * one.contrast.difference])
        bar = next(bar for bar in axes.patches if abs(bar.get_y() + bar.get_height() / 2 - y) < 0.1)
        assert bar.get_width() == pytest.approx(200 * one.detectable)
        said = next(text.get_text() for text in axes.texts if text.xy[1] == y)
        assert said == "inconclusive"
    assert [line.get_xdata() for line in axes.get_lines()][-1] == [0, 0]


def test_a_margin_is_a_band_in_the_figure_of_effects(document):
    figure = document("a margin").figures["effects"]
    band = figure.axes[0].patches[-1]
    assert (band.get_x(), band.get_width()) == pytest.approx((-2, 4))
    words = [text.get_text() for text in texts(figure)]
    assert words.count("equivalent within ±2 points") == 2
    assert "declared not to matter (±2 points)" in words


def test_interactions_show_a_panel_for_each_pair(document):
    results, figure = document("24 arms").results, document("24 arms").figures["interactions"]
    axes = [axes for axes in figure.axes if axes.get_visible()]
    assert len(axes) == 6
    means = results.cell_means("train.loss", "model.upsampling")
    losses = results.factors["train.loss"]
    for line, level in zip(axes[0].containers, results.factors["model.upsampling"], strict=True):
        drawn = line.lines[0]
        assert drawn.get_ydata() == pytest.approx([means[loss, level].mean for loss in losses])
    assert [text.get_text() for text in axes[0].get_xticklabels()] == list(losses)
    assert axes[0].get_title(loc="left") == "interaction: p < 0.001"


def with_a_diverged_trial(make_store, last_loss=1.0):
    """Write two arms with two seeds, of which one diverged in epoch 3 of 6."""
    store = make_store(seeds=(0, 1), failures={(1, 1): "diverged"})
    history = details_json(store, "k0001s0")["history"][:3]
    history[-1]["train_loss"] = last_loss
    store.commit(store.read("k0001s1"), {"history": history})
    return store


def test_curves_are_the_stored_history(make_store):
    store = with_a_diverged_trial(make_store)
    history = {key: details_json(store, key)["history"] for key in sorted(store.keys())}
    axes = draw("curves", store).axes
    for column, read in zip(
        axes, (lambda e: e["metrics"]["mean_iou"], lambda e: e["train_loss"]), strict=True
    ):
        seeds = [[read(epoch) for epoch in history[f"k0000s{s}"]] for s in (0, 1)]
        thick = [line for line in column.get_lines() if line.get_linewidth() == 2]
        assert thick[0].get_ydata() == pytest.approx(np.mean(seeds, axis=0))
        # The seed that diverged ends in a cross and is not part of its arm's mean.
        survivor = [read(epoch) for epoch in history["k0001s0"]]
        assert thick[1].get_ydata() == pytest.approx(survivor)
        crosses = [line for line in column.get_lines() if line.get_marker() == "x"]
        ends = [(x, y) for line in crosses for x, y in zip(*line.get_data(), strict=True)]
        last = history["k0001s1"][-1]
        assert ends == [(last["epoch"], read(last))]


def test_without_scores_between_epochs_the_loss_is_drawn_alone(make_store):
    store = make_store(seeds=(0,))
    for key in sorted(store.keys()):
        history = [{**row, "metrics": {}} for row in details_json(store, key)["history"]]
        store.commit(store.read(key), {"history": history})
    assert [axes.get_ylabel() for axes in draw("curves", store).axes] == ["train loss"]


def test_one_point_is_no_curve(make_store):
    store = make_store(seeds=(0,))
    for key in sorted(store.keys()):
        *first, last = details_json(store, key)["history"]
        history = [*({**row, "metrics": {}} for row in first), last]
        store.commit(store.read(key), {"history": history})
    assert [axes.get_ylabel() for axes in draw("curves", store).axes] == ["train loss"]


def test_curves_are_of_the_split_that_was_watched(make_store):
    store = make_store(seeds=(0,))
    for key in sorted(store.keys()):
        record, details = store.read(key), details_json(store, key)
        result = record.result.model_copy(update={"split": "test", "watched_split": "val"})
        store.commit(record.model_copy(update={"result": result}), details)
    assert draw("curves", store).axes[0].get_ylabel() == "mean IoU on val"


def test_a_loss_that_explodes_does_not_flatten_the_others(make_store):
    store = with_a_diverged_trial(make_store, last_loss=1e9)
    assert draw("curves", store).axes[1].get_ylim()[1] < 10


def test_the_map_of_classes_shows_means_in_points(document):
    results = document("seven arms").results
    axes = document("seven arms").figures["classes"].axes[0]
    shown = {(int(t.get_position()[0]), int(t.get_position()[1])): t.get_text() for t in axes.texts}
    iou = [
        record.result.metrics["iou"]
        for record in results.records.values()
        if record.label == "dice · bilinear" and record.status == "done"
    ]
    row = list(results.arms).index("dice · bilinear")
    assert len(iou) == 2
    for column, (one, other) in enumerate(zip(*iou, strict=True)):
        expected = None if one is None else f"{50 * (one + other):.0f}"
        assert shown.get((column, row)) == expected
    # Hatched: the absent class in all seven rows, and every class of the arm without result.
    assert len(axes.patches) == 7 + 20
    assert all(patch.get_hatch() for patch in axes.patches)


def test_panels_say_whose_predictions_they_show(document):
    figure = document("seven arms").figures["panels"]
    titles = [" ".join(axes.get_title(loc="left").split()) for axes in figure.axes[:8]]
    assert titles[:2] == ["image", "truth"]
    assert "dice · bilinear (seed 1)" in titles  # seed 0 diverged
    assert "dice · transposed" not in titles  # did not run
    assert "ce · transposed" in titles
    assert sum(len(axes.images) for axes in figure.axes) == 4 * (2 + 6)
    assert "of seed 0, unless a title names another. 6 of 7 arms." in figure.get_label()


def test_of_many_arms_the_baseline_and_the_best_are_among_the_examples(make_store):
    factors = {"train.loss": [f"loss {number}" for number in range(20)]}
    values = {(arm, 0): 0.9 if arm == 17 else 0.3 for arm in range(20)}
    baseline = {"train.loss": "loss 12"}
    store = make_store(factors=factors, seeds=(0,), values=values, baseline=baseline, images=1)
    figure = draw("panels", store)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[2:] == [f"loss {number}" for number in (0, 1, 2, 3, 4, 5, 12, 17)]
    assert figure.get_label().endswith("8 of 20 arms.")


def test_the_legend_of_panels_names_what_occurs_and_nothing_else(document):
    results, figure = document("seven arms").results, document("seven arms").figures["panels"]
    occurring = set()
    for record in results.records.values():
        for example in record.accuracy.examples if record.accuracy else ():
            if example.why == "chosen":
                for blob in (example.truth, example.prediction):
                    labels = np.unique(read_labels(results.store, blob)).tolist()
                    names = record.accuracy.classes
                    occurring |= {"void" if i == 255 else names[i] for i in labels}
    legend = figure.legends[0]
    assert {t.get_text() for t in legend.get_texts()} == occurring
    assert occurring - {"void"} < results.palette.keys()  # one class never occurs
    for patch, text in zip(legend.get_patches(), legend.get_texts(), strict=True):
        if text.get_text() != "void":
            rgb = np.round(np.array(patch.get_facecolor()[:3]) * 255)
            assert tuple(rgb) == results.palette[text.get_text()]


def test_labels_are_painted_and_void_is_striped():
    labels = np.full((40, 60), 255, np.uint8)
    labels[:, :20], labels[:, 20:40] = 0, 1
    painted = paint(labels, ["a", "b"], {"b": (4, 5, 6), "a": (1, 2, 3)})
    assert (painted[:, :20] == (1, 2, 3)).all()
    assert (painted[:, 20:40] == (4, 5, 6)).all()
    assert {tuple(rgb) for rgb in painted[:, 40:].reshape(-1, 3).tolist()} == set(VOID_STRIPES)


def test_pictures_are_read_as_they_were_stored(tmp_path):
    store = Store(tmp_path)
    bgr = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    colour = store.put(cv2.imencode(".png", bgr)[1].tobytes(), ".png")
    grey = store.put(cv2.imencode(".png", bgr[..., 0])[1].tobytes(), ".png")
    text = store.put(b"no picture", ".png")
    assert (read_image(store, colour) == bgr[..., ::-1]).all()
    assert (read_image(store, grey) == bgr[..., :1]).all()
    assert (read_labels(store, grey) == bgr[..., 0]).all()
    large = store.put(cv2.imencode(".png", np.zeros((4000, 3000), np.uint8))[1].tobytes(), ".png")
    assert read_labels(store, large).shape == (360, 270)
    for blob, read in ((text, read_image), (text, read_labels), (colour, read_labels)):
        with pytest.raises(UserError, match="no picture"):
            read(store, blob)


def test_a_user_s_text_is_one_short_line():
    assert one_line("a\n b\t\u202ec") == "a b c"
    assert one_line("x" * 99, 10) == "x" * 9 + "…"
    lines = wrapped("ce · bilinear · none " + "w" * 50, 1.0).split("\n")
    assert lines[:2] == ["ce · bilinear ·", "none"]
    assert lines[2].endswith("w…")
    assert max(map(text_width, lines)) <= 1.0
    assert text_width(lines[2] + "w") > 1.0


def test_letters_that_the_font_lacks_are_no_failure(make_store):
    store = make_store(factors={"train.loss": ["日本", "ce"]}, seeds=(0,))
    assert all(encode(figure, "png") for name in FIGURES if (figure := draw(name, store)))
