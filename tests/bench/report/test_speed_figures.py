"""Figures of throughput, from timed trials whose speeds follow from their arms."""

import itertools

import pytest

from bench.analysis.analysis import load
from bench.report import write
from bench.report.figures.batch_sizes import memory, throughput
from bench.report.figures.roofline import MOST_LAYERS, roofline
from tests.bench.made_stores import details_json

SPEEDS = {"unet": 40.0, "smp_unet": 90.0}
BATCHES = (1, 4, 16)
UNET_16 = 2  # number of the arm whose batch does not fit


def speed_store(make_store, *, batches=BATCHES, seeds=3, **options):
    """Write a throughput experiment: images a second are speed × batch ** 0.5 × (1 + seed / 100)."""
    arms = enumerate(itertools.product(SPEEDS, batches))
    values = {
        (number, seed): SPEEDS[model] * batch**0.5 * (1 + seed / 100)
        for number, (model, batch) in arms
        for seed in range(seeds)
    }
    factors = {"model.name": list(SPEEDS), "train.batch_size": list(batches)}
    return make_store(
        measure="throughput", factors=factors, seeds=range(seeds), values=values, **options
    )


def with_layers(store):
    """Store 30 layers for each trial; in seed s everything takes 1 + s times as long."""
    for record in store.records():
        if record.status == "done":
            details = details_json(store, record.key)
            template = details["layers"][0]
            layers = [
                {
                    **template,
                    "name": f"down{i}.conv" if i % 2 == 0 else f"down{i}.norm",
                    "forward_roofline_ms": 0.1 * (i % 2 == 0),
                    "forward_ms": (1 + record.seed) * (0.2 + 0.01 * i),
                }
                for i in range(30)
            ]
            store.commit(record, {**details, "layers": layers})
    return store


@pytest.fixture
def results(make_store):
    failures = {(UNET_16, seed): "oom" for seed in range(3)}
    return load(with_layers(speed_store(make_store, failures=failures)))


def drawn(axes):
    """Return the data of every line that has markers, by colour."""
    return [line for line in axes.lines if line.get_marker() not in ("None", "|", "_", "x")]


def test_throughput_over_the_batch_size(results):
    axes = throughput(results).axes[0]
    lines = [line for line in drawn(axes) if len(line.get_xdata()) > 1]
    sizes = [[round(x) for x in line.get_xdata()] for line in lines]
    assert sizes == [[1, 4], [1, 4, 16]]  # 16 did not fit
    for line, speed in zip(lines, SPEEDS.values(), strict=True):
        expected = [speed * round(batch) ** 0.5 * 1.01 for batch in line.get_xdata()]
        assert list(line.get_ydata()) == pytest.approx(expected)
    [cross] = [line for line in axes.lines if line.get_marker() == "x"]
    assert [round(x) for x in cross.get_xdata()] == [16]
    assert axes.get_ylabel() == "throughput, images/s"


def test_memory_is_the_stored_peak(results):
    lines = [line for line in drawn(memory(results).axes[0]) if len(line.get_xdata()) > 1]
    records = [r for r in results.records.values() if r.label == "smp_unet · 4"]
    expected = sum(r.metric("peak_gigabytes") for r in records) / 3
    assert lines[1].get_ydata()[1] == pytest.approx(expected)


def test_layers_beside_their_rooflines(results):
    figure = roofline(results)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    assert "The first 4 of 5 arms." in figure.get_label()
    # A label at the right edge is cut where the layout that was made for other ticks is kept.
    assert all(tick <= 0.8 * axes.get_xlim()[1] for axes in panels for tick in axes.get_xticks())
    bars = panels[0].patches
    assert len(bars) == 2 * MOST_LAYERS
    widths = [bar.get_width() for bar in bars[:MOST_LAYERS]]
    # Of 30 layers the slowest are the last; over three repetitions the median is twice as slow.
    assert widths == pytest.approx([2 * (0.2 + 0.01 * i) for i in range(12, 30)])
    said = {text.get_text() for text in panels[0].texts}
    assert {"no bound", f"{0.1 / widths[0]:.0%}"} <= said


def test_nothing_to_show_is_no_figure(make_store):
    accuracy = load(make_store("accuracy"))
    one_size = load(speed_store(make_store, folder="one", batches=(4,)))
    failed = {(arm, seed): "failed" for arm in range(6) for seed in range(3)}
    nothing = load(speed_store(make_store, folder="nothing", failures=failed))
    for draw in (throughput, memory, roofline):
        assert draw(accuracy) is None
        assert draw(nothing) is None
    assert throughput(one_size) is None
    assert memory(one_size) is None
    assert roofline(one_size) is not None


def test_a_report_shows_them(results):
    folder = write.write(results.store, ["md"]).parent
    text = (folder / "report.md").read_text()
    for name in ("throughput", "memory", "roofline"):
        assert f"](figures/{name}.png)" in text
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000
    assert "throughput, images/s" in text
