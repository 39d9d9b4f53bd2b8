"""What the figures show, read back from the figures; and that they can be read."""

import dataclasses
import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
from skimage.color import rgb2lab

from bench.analysis.effects.summary import cell_means, effects
from bench.errors import UserError
from bench.report.figures.pictures import VOID_STRIPES, paint, read_image, read_labels
from bench.report.figures.registry import FIGURES
from bench.report.figures.style import HUES, arm_styles, encode, one_line, text_width, wrapped
from bench.store import loading

OF_SPEED = {"throughput", "limits", "memory", "front"}  # tested in test_speed_figures.py


def draw(name, store):
    return FIGURES[name](loading.load(store))


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
        FigureCanvasAgg(figure).draw()
    return drawn


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_every_store_has_a_caption_and_legible_labels(every_store, name):
    figure = draw(name, every_store)
    if figure is None:
        return
    assert figure.get_label().endswith(".")
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


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in OF_SPEED])
def test_the_same_store_gives_the_same_bytes(example, name, suffix):
    store = example("four arms")
    first = encode(draw(name, store), suffix)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": "x"}):
        assert encode(draw(name, store), suffix) == first
    assert b"matplotlib" not in first[:300].lower()  # version and date stay out


def test_the_study_figure_holds_both_scores_and_the_shaded_part(example):
    figure = draw("study", example("four arms"))
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    titles = [" ".join(axes.get_title(loc="left").split()) for axes in drawn]
    assert titles == list(loading.load(example("four arms")).arms)
    *runs, study_line, true_line = drawn[0].get_lines()
    assert len(runs) == 2  # of the one seed, the same again
    assert runs[1].get_ydata() == pytest.approx(true_line.get_ydata())
    assert study_line.get_ydata()[-1] == pytest.approx(0.8)
    assert study_line.get_ydata()[0] == pytest.approx(0.1)
    assert 0 < true_line.get_ydata()[-1] < 1
    shaded = drawn[0].collections[0].get_paths()[0].vertices[:, 1]
    assert shaded.max() == pytest.approx(0.65)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_measured_gives_no_figure(example, name):
    assert draw(name, example("nothing run")) is None


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


def test_the_same_arm_has_the_same_colour_everywhere(example):
    store = example("seven arms")
    results = loading.load(store)
    label = "dice+ce · transposed"
    expected = arm_styles(results.arms)[label].colour
    arms = draw("arms", store).axes[0]
    row = list(results.arms).index(label)
    dots = [
        line
        for line in arms.get_lines()
        if line.get_linestyle() == "None" and all(abs(line.get_ydata() - row) < 0.5)
    ]
    dots = [line for line in dots if len(line.get_ydata())]
    assert [to_hex(line.get_color()) for line in dots] == [expected]
    for name in ("factors", "curves"):
        assert all(expected in colours(axes) for axes in draw(name, store).axes)
        legends = [*draw(name, store).legends, draw(name, store).axes[-1].get_legend()]
        shown = {
            text.get_text(): to_hex(line.get_color())
            for legend in legends
            if legend
            for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
        }
        assert shown[label] == expected
    assert expected in colours(draw("panels", store).axes[0])


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


def test_effects_show_difference_interval_and_verdict(example):
    store = example("seven arms")
    results = loading.load(store)
    found, axes = effects(results), draw("effects", store).axes[0]
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
        assert interval == pytest.approx([100 * one.contrast.low, 100 * one.contrast.high])
        assert dot == pytest.approx([100 * one.contrast.difference])
        bar = next(bar for bar in axes.patches if abs(bar.get_y() + bar.get_height() / 2 - y) < 0.1)
        assert bar.get_width() == pytest.approx(200 * one.detectable)
        said = next(text.get_text() for text in axes.texts if text.xy[1] == y)
        assert said == f"inconclusive; {one.seeds_needed} seeds would decide"
    assert [line.get_xdata() for line in axes.get_lines()][-1] == [0, 0]


def test_a_margin_is_a_band_in_the_figure_of_effects(example):
    figure = draw("effects", example("a margin"))
    band = figure.axes[0].patches[-1]
    assert (band.get_x(), band.get_width()) == pytest.approx((-2, 4))
    words = [text.get_text() for text in texts(figure)]
    assert words.count("equivalent within ±2 points") == 2
    assert "declared not to matter (±2 points)" in words


def test_interactions_show_a_panel_for_each_pair(example):
    store = example("24 arms")
    results = loading.load(store)
    axes = [axes for axes in draw("interactions", store).axes if axes.get_visible()]
    assert len(axes) == 6
    means = cell_means(results, "train.loss", "model.upsampling")
    losses = results.factors["train.loss"]
    for line, level in zip(axes[0].containers, results.factors["model.upsampling"], strict=True):
        drawn = line.lines[0]
        assert drawn.get_ydata() == pytest.approx([means[loss, level].mean for loss in losses])
    assert [text.get_text() for text in axes[0].get_xticklabels()] == list(losses)
    assert axes[0].get_title(loc="left") == "interaction: p < 0.001"


@pytest.mark.parametrize("name", ["two arms", "one at a time", "one arm"])
def test_other_designs_show_no_interactions(example, name):
    assert draw("interactions", example(name)) is None


def test_dots_by_arm_are_left_out_where_they_show_the_same(example):
    assert draw("arms", example("two arms")) is None
    assert draw("arms", example("seven arms")) is not None


def test_curves_are_the_stored_history(make_store):
    store = make_store(seeds=(0, 1), failures={(1, 1): "diverged"})
    history = {key: store.details(key)["history"] for key in sorted(store.keys())}
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
        assert ends == [(3, read(history["k0001s1"][-1]))]


def test_without_scores_between_epochs_the_loss_is_drawn_alone(make_store):
    store = make_store(seeds=(0,))
    for key in sorted(store.keys()):
        history = [{**row, "metrics": {}} for row in store.details(key)["history"]]
        store.commit(store.read(key), {"history": history})
    assert [axes.get_ylabel() for axes in draw("curves", store).axes] == ["train loss"]


def test_one_point_is_no_curve(make_store):
    store = make_store(seeds=(0,))
    for key in sorted(store.keys()):
        *first, last = store.details(key)["history"]
        history = [*({**row, "metrics": {}} for row in first), last]
        store.commit(store.read(key), {"history": history})
    assert [axes.get_ylabel() for axes in draw("curves", store).axes] == ["train loss"]


def test_curves_are_of_the_split_that_was_watched(make_store):
    store = make_store(seeds=(0,))
    for key in sorted(store.keys()):
        record, details = store.read(key), store.details(key)
        seen = {"split": "test", "watched_split": "val"}
        store.commit(dataclasses.replace(record, result={**record.result, **seen}), details)
    assert draw("curves", store).axes[0].get_ylabel() == "mean IoU on val"


def test_a_loss_that_explodes_does_not_flatten_the_others(make_store):
    store = make_store(seeds=(0, 1), failures={(1, 1): "diverged"})
    details = store.details("k0001s1")
    details["history"][-1]["train_loss"] = 1e9
    store.commit(store.read("k0001s1"), {"history": details["history"]})
    assert draw("curves", store).axes[1].get_ylim()[1] < 10


def test_the_map_of_classes_shows_means_in_points(example):
    store = example("seven arms")
    results = loading.load(store)
    axes = draw("classes", store).axes[0]
    shown = {(int(t.get_position()[0]), int(t.get_position()[1])): t.get_text() for t in axes.texts}
    iou = [
        record.result["metrics"]["iou"]
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


def test_panels_say_whose_predictions_they_show(example):
    figure = draw("panels", example("seven arms"))
    words = [t.get_text() for t in texts(figure)]
    assert words.count("dice · bilinear (seed 1)") == 4  # seed 0 diverged; four images
    assert words.count("dice · transposed") == 4
    assert words.count("not run") == 4
    assert words.count("ce · transposed") == 4
    assert len(figure.axes[0].images) == 4 * (2 + 6)


def test_the_legend_of_panels_names_what_occurs_and_nothing_else(example):
    store = example("seven arms")
    results = loading.load(store)
    occurring = set()
    for record in results.records.values():
        kept = record.result.get("panels", ())
        for panel in (panel for panel in kept if panel.get("why", "chosen") == "chosen"):
            for kind in ("truth", "prediction"):
                labels = np.unique(read_labels(store, panel[kind])).tolist()
                occurring |= {"void" if i == 255 else record.result["classes"][i] for i in labels}
    legend = draw("panels", store).legends[0]
    assert {t.get_text() for t in legend.get_texts()} == occurring
    assert len(occurring) < 21
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


def test_pictures_are_read_as_they_were_stored(example, tmp_path):
    import cv2

    from bench.store.folder import Store

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
