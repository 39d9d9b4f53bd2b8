"""Figures of throughput, from made-up records whose numbers follow from their settings."""

import hashlib
import itertools

import pytest
from matplotlib.figure import Figure

from bench.report import write
from bench.report.figures.front import front
from bench.report.figures.registry import FIGURES
from bench.report.figures.speed import MOST_LAYERS, limits, memory, throughput
from bench.store.folder import Store
from bench.store.loading import load
from bench.store.records import Record

SPEEDS = {"unet": 40.0, "smp_unet": 90.0}
BATCHES = (1, 4, 16)


def layers(count, slow):
    return [
        {
            "name": f"down{i}.conv" if i % 2 == 0 else f"down{i}.norm",
            "kind": "convolution",
            "gflops": 1.0,
            "megabytes": 1.0,
            "floor_ms": 0.3,
            "forward_floor_ms": 0.1 * (i % 2 == 0),
            "forward_ms": slow * (0.2 + 0.01 * i),
        }
        for i in range(count)
    ]


def speed_store(folder, *, batches=BATCHES, models=SPEEDS, seeds=3, oom=(), done=True):
    """Write a throughput experiment: images a second are speed × batch ** 0.5 × (1 + seed / 100)."""
    store, trials = Store(folder / "speed"), []
    for seed, model, batch in itertools.product(range(seeds), models, batches):
        key = hashlib.sha256(f"{seed} {model} {batch}".encode()).hexdigest()[:20]
        arm = {"model.name": model, "train.batch_size": batch}
        label = f"{model} · batch_size {batch}"
        trials.append({"key": key, "arm": arm, "label": label, "seed": seed})
        fits = (model, batch) not in oom
        speed = models[model] * batch**0.5 * (1 + seed / 100)
        memory = {"allocated_bytes": None, "reserved_bytes": None, "process_bytes": 10**8 * batch}
        result = {
            "images_per_second": speed,
            "milliseconds": 1e3 * batch / speed,
            "memory": memory,
            "metrics": {"images_per_second": speed, "floor_share": 0.25},
        }
        status = "done" if fits else "oom"
        if done or not fits:
            store.commit(
                Record(
                    key=key, experiment="speed", measure="throughput", status=status,
                    reason=None if fits else "CUDA out of memory", arm=arm, label=label, seed=seed,
                    settings={"model": {"name": model}, "train": {"batch_size": batch}},
                    provenance={"code": "c"}, environment={"device_name": "made up"}, started="",
                    seconds=1.0, result=result if fits else {},
                ),
                {"layers": layers(30, 1 + seed)} if fits else {},
            )  # fmt: skip
    store.write_plan(
        {
            "name": "speed", "question": "", "measure": "throughput", "command": "",
            "metric": "images_per_second", "design": "full_factorial",
            "factors": {"model.name": list(models), "train.batch_size": list(batches)},
            "baseline": {"model.name": next(iter(models)), "train.batch_size": batches[0]},
            "seeds": list(range(seeds)), "trials": trials,
        }
    )  # fmt: skip
    return store


def scored_store(folder, scores):
    """Write an accuracy experiment beside it: model → mean IoU of its only trial."""
    store, trials = Store(folder / "scored"), []
    for number, (model, score) in enumerate(scores.items()):
        key = f"{number:020d}"
        arm = {"model.name": model}
        trials.append({"key": key, "arm": arm, "label": model, "seed": 0})
        store.commit(
            Record(
                key=key, experiment="scored", measure="accuracy", status="done", reason=None,
                arm=arm, label=model, seed=0, settings={"model": {"name": model}}, provenance={},
                environment={}, started="", seconds=1.0, result={"metrics": {"mean_iou": score}},
            ),
            {},
        )  # fmt: skip
    store.write_plan({"name": "scored", "measure": "accuracy", "trials": trials})


@pytest.fixture
def results(tmp_path):
    scored_store(tmp_path, {"unet": 0.5, "smp_unet": 0.4})
    return load(speed_store(tmp_path, oom={("unet", 16)}))


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
    assert axes.get_ylabel() == "images per second"


def test_memory_is_that_of_the_process_where_there_is_no_gpu(results):
    lines = [line for line in drawn(memory(results).axes[0]) if len(line.get_xdata()) > 1]
    assert list(lines[1].get_ydata()) == pytest.approx([0.1, 0.4, 1.6])


def test_layers_beside_their_floors(results):
    figure = limits(results)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    bars = panels[0].patches
    assert len(bars) == 2 * MOST_LAYERS
    widths = [bar.get_width() for bar in bars[:MOST_LAYERS]]
    # Of 30 layers the slowest are the last; over three repetitions the median is twice as slow.
    assert widths == pytest.approx([2 * (0.2 + 0.01 * i) for i in range(12, 30)])
    said = {text.get_text() for text in panels[0].texts}
    assert {"no floor", f"{0.1 / widths[0]:.0%}"} <= said


def test_the_front_joins_the_same_networks(results):
    axes = front(results).axes[0]
    points = {tuple(round(float(v[0]), 3) for v in line.get_data()) for line in axes.lines}
    speeds = {m: [s * b**0.5 * 1.01 for b in BATCHES] for m, s in SPEEDS.items()}
    assert {(round(v, 3), 0.4) for v in speeds["smp_unet"]} <= points
    assert {(round(v, 3), 0.5) for v in speeds["unet"][:2]} <= points
    assert len(points) == 5


def test_nothing_to_show_is_no_figure(tmp_path, make_store):
    accuracy = load(make_store())
    one_size = load(speed_store(tmp_path / "a", batches=(4,)))
    nothing = load(speed_store(tmp_path / "b", done=False))
    for draw in (throughput, memory, limits, front):
        assert draw(accuracy) is None
        assert draw(nothing) is None
    assert throughput(one_size) is None
    assert memory(one_size) is None
    assert isinstance(limits(one_size), Figure)
    assert front(one_size) is None  # nobody scored these networks


def test_a_report_shows_them(results):
    folder = write.write(results.store, ["md", "csv"]).parent
    text = (folder / "report.md").read_text()
    for name in ("throughput", "memory", "limits", "front"):
        assert f"](figures/{name}.png)" in text
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000
    assert "images per second" in text
    assert set(FIGURES) >= {"throughput", "memory", "limits", "front"}


def test_names_on_the_front_hide_neither_dots_nor_each_other(tmp_path):
    models = {f"network {number}": 40.0 + number for number in range(5)}
    scored_store(tmp_path, {name: 0.5 + i / 500 for i, name in enumerate(models)})
    figure = front(load(speed_store(tmp_path, models=models, batches=(4,))))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    names = [text.get_window_extent() for text in axes.texts]
    dots = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines]
    assert len(names) == len(dots) == 5
    for i, name in enumerate(names):
        assert not name.count_overlaps(names[:i])
        assert not any(name.contains(*dot) for dot in dots)
        assert axes.get_window_extent().contains(*name.p0)
        assert axes.get_window_extent().contains(*name.p1)
