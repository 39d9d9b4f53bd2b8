"""Throughput is compared by ratios: against scipy on logarithms, and what is said of them."""

import math
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from bench.analysis import compare
from bench.analysis.analysis import load
from bench.analysis.scales import RATIO, factor
from bench.report import write
from bench.report.content import words
from bench.report.figures.axes import plain_numbers
from bench.report.figures.effects import effects as draw
from bench.report.figures.interactions import interactions
from bench.report.tables import registry

TWO = {"model.upsampling": ["bilinear", "transposed"]}
FOUR = {**TWO, "train.batch_size": [1, 4]}
SPEEDS = {0: [113.0, 109.5, 117.2, 112.9, 108.1], 1: [93.1, 106.8, 104.1, 104.6, 102.6]}
REPETITIONS = len(SPEEDS[0])


@pytest.fixture
def results(make_store):
    """Return a function: speeds by arm → the results of a throughput experiment."""

    def make(speeds=SPEEDS, *, factors=TWO, folder="x", **options):
        values = {(arm, seed): each for arm, row in speeds.items() for seed, each in enumerate(row)}
        seeds = range(len(speeds[0]))
        options |= {"factors": factors, "seeds": seeds, "values": values}
        return load(make_store(folder, measure="throughput", **options))

    return make


def random_speeds(arms, *, generator=0, sd=0.05, repetitions=REPETITIONS):
    rng = np.random.default_rng(generator)
    logs = rng.normal(4.0, 0.3, (arms, 1)) + sd * rng.standard_normal((arms, repetitions))
    return dict(enumerate(np.exp(logs).tolist()))


def test_ratio_and_interval_are_those_of_a_t_test_on_logarithms(results):
    (row,) = registry.comparisons(results()).to_dict("records")
    below, above = (np.log(SPEEDS[arm]) for arm in (0, 1))
    expected = stats.ttest_rel(above, below)
    low, high = np.exp(expected.confidence_interval(0.95))
    ratios = np.divide(SPEEDS[1], SPEEDS[0])
    assert row["ratio"] == pytest.approx(stats.gmean(ratios), rel=1e-5)
    assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-5)
    assert row["p"] == pytest.approx(expected.pvalue, rel=1e-5)
    assert [float(each) for each in row["seed_ratios"].split()] == pytest.approx(ratios, rel=1e-5)
    assert row["verdict"] == "worse"
    assert "difference" not in row


def test_the_detectable_ratio_is_detected_with_80_percent(results):
    found = results().effects
    (one,) = found.comparisons
    (row,) = registry.comparisons(results()).to_dict("records")
    sd = np.std(np.log(SPEEDS[1]) - np.log(SPEEDS[0]), ddof=1)
    effect = math.log(row["detectable"]) / (sd / math.sqrt(REPETITIONS))
    df = REPETITIONS - 1
    critical = stats.t.ppf(0.975, df)
    power = stats.nct.sf(critical, df, effect) + stats.nct.cdf(-critical, df, effect)
    assert power == pytest.approx(0.8, abs=1e-4)
    assert words.effect(found, one.detectable, signed=False).startswith("1.")


@pytest.mark.parametrize("generator", range(4))
def test_to_swap_the_baseline_inverts_ratio_and_verdict(results, generator):
    factors = {"model.upsampling": ["bilinear", "transposed", "nearest"]}
    speeds = random_speeds(3, generator=generator)
    first, second = (
        registry.comparisons(
            results(speeds, factors=factors, folder=level, baseline={"model.upsampling": level})
        ).set_index("level")
        for level in ("bilinear", "transposed")
    )
    there, back = first.loc["transposed"], second.loc["bilinear"]
    assert there["ratio"] * back["ratio"] == pytest.approx(1, rel=1e-5)
    assert there["low"] * back["high"] == pytest.approx(1, rel=1e-5)
    for name in ("p", "detectable", "error"):  # p corrected depends on the other comparisons
        assert there[name] == pytest.approx(back[name], rel=1e-5)
    opposite = {"better": "worse", "worse": "better"}
    assert back["verdict"] == opposite.get(there["verdict"], there["verdict"])


def test_times_and_rates_have_reciprocal_ratios_and_one_verdict(results):
    rate, time = (
        registry.comparisons(results(folder=metric, metric=metric)).iloc[0]
        for metric in ("images_per_second", "milliseconds")
    )
    assert rate["ratio"] * time["ratio"] == pytest.approx(1, rel=1e-5)
    assert rate["high"] * time["low"] == pytest.approx(1, rel=1e-5)
    assert rate["verdict"] == time["verdict"] == "worse"


def test_another_unit_changes_nothing(results):
    other = {arm: [60 * speed for speed in speeds] for arm, speeds in SPEEDS.items()}
    first = registry.comparisons(results(folder="a"))
    second = registry.comparisons(results(other, folder="b"))
    for name in ("ratio", "low", "high", "p", "detectable"):
        assert first[name].tolist() == pytest.approx(second[name].tolist(), rel=1e-5)


def test_equivalence_is_within_a_factor(results):
    drawn = np.random.default_rng(0).normal(1, 0.002, REPETITIONS)
    speeds = {0: [100.0] * REPETITIONS, 1: (99.0 * drawn).tolist()}
    found = results(speeds, equivalence=0.02).effects
    (one,) = found.comparisons
    logs = np.log(speeds[1]) - math.log(100)
    tests = [
        stats.ttest_1samp(logs, bound, alternative=side).pvalue
        for bound, side in ((-math.log(1.02), "greater"), (math.log(1.02), "less"))
    ]
    assert one.p_equivalent == pytest.approx(max(tests))
    assert words.verdict(found, one) == "equivalent within a factor 1.02"
    (row,) = registry.comparisons(results(speeds, equivalence=0.02)).to_dict("records")
    assert row["verdict"] == "equivalent within a factor 1.02"


def test_factors_that_multiply_do_not_depend_on_each_other(results):
    noise = random_speeds(4, sd=0.01, generator=5)
    level = [1.0, 2.0, 5.0, 10.0]  # twice for the one factor, five times for the other
    speeds = {
        arm: [level[arm] * value / stats.gmean(values) for value in values]
        for arm, values in noise.items()
    }
    found = results(speeds, factors=FOUR)
    assert found.effects.interactions[0].negligible
    assert found.effects.simple == ()
    ratios = registry.comparisons(found).set_index("factor")["ratio"]
    assert ratios["model.upsampling"] == pytest.approx(5, rel=1e-5)
    assert ratios["train.batch_size"] == pytest.approx(2, rel=1e-5)


def test_factors_that_add_do(results):
    noise = random_speeds(4, sd=0.01, generator=5)
    level = [1.0, 2.0, 5.0, 6.0]
    speeds = {arm: [level[arm] * v / stats.gmean(vs) for v in vs] for arm, vs in noise.items()}
    found = results(speeds, factors=FOUR).effects
    assert not found.interactions[0].negligible
    simple = {(one.factor, one.at): RATIO.back(one.contrast.difference) for one in found.simple}
    assert simple["train.batch_size", "bilinear"] == pytest.approx(2)
    assert simple["train.batch_size", "transposed"] == pytest.approx(1.2)


def test_what_is_not_positive_has_no_logarithm():
    assert np.isnan(RATIO.into(np.array([-1.0, 0.0]))).all()


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1.131, 2, "1.13"),
        (0.9, 2, "0.90"),
        (0.0283, 2, "0.028"),
        (45.23, 2, "45.2"),
        (1.0, 3, "1.000"),
        (5000.0, 2, "> 1,000"),
        (1e-4, 2, "< 0.001"),
        (math.nan, 2, "–"),
    ],
)
def test_ratios_as_text(value, decimals, text):
    assert factor(value, decimals) == text


def test_the_figure_of_effects_is_about_1(results):
    figure = draw(results())
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "throughput: ratio to the baseline"
    assert [1.0, 1.0] in [list(line.get_xdata()) for line in axes.lines]
    markers = [line for line in axes.lines if line.get_marker() == "v"]
    assert markers[0].get_xdata()[0] == pytest.approx(stats.gmean(np.divide(SPEEDS[1], SPEEDS[0])))
    low, high = axes.get_xlim()
    assert low < 0.9 < 1 < high
    assert "difference" not in figure.get_label()


def test_interactions_show_geometric_means_on_a_logarithmic_axis(results):
    found = results(random_speeds(4), factors=FOUR)
    axes = interactions(found).axes[0]
    assert axes.get_yscale() == "log"
    speeds = random_speeds(4)
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert sorted(np.ravel(drawn)) == pytest.approx(sorted(map(stats.gmean, speeds.values())))
    means = found.cell_means(*FOUR)
    assert means["bilinear", "1"].mean == pytest.approx(np.mean(np.log(speeds[0])))


@pytest.mark.parametrize("high", [1.02, 1.7, 4, 9, 11, 90, 1e4, 1e8, 1e20])
def test_a_logarithmic_axis_has_labels_that_fit(high):
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(0.9, high)
    plain_numbers(axes.xaxis)
    ticks = axes.get_xticks()
    assert 2 <= len(ticks) <= 9
    assert ((ticks >= 0.9) & (ticks <= high)).all()


STORES = {
    "complete": {},
    "a trial lost": {"failures": {(1, 2): "oom", (0, 4): "not run"}},
    "one left": {"failures": {(1, seed): "invalid" for seed in range(1, REPETITIONS)}},
    "nothing left": {"failures": {(1, seed): "invalid" for seed in range(REPETITIONS)}},
    "a margin": {"equivalence": 0.05},
}


@pytest.mark.parametrize("name", STORES)
def test_a_report_of_throughput_speaks_of_repetitions_and_ratios(results, without_figures, name):
    found = results(**STORES[name])
    folder = write.write(found.store, ["md", "tex", "html", "csv"]).parent
    said = {
        suffix: (folder / f"report.{suffix}").read_text().lower()
        for suffix in ("md", "tex", "html")
    }
    for text in said.values():
        for word in ("seed", "difference, ", "points", "classes averaged", "trained", "0.900000"):
            assert word not in text.replace("calls a difference", "")
        assert "repetitions" in text
    header = (folder / "comparisons.csv").read_text().partition("\n")[0].split(",")
    assert {"ratio", "seed_ratios"} <= set(header)
    assert not {"difference", "seed_differences"} & set(header)
    assert "classes_averaged" not in (folder / "arms.csv").read_text()


def test_a_report_says_the_ratio_in_its_first_sentence(results, without_figures):
    text = (write.write(results().store, ["md"])).read_text()
    assert re.search(
        r"throughput is worse with model.upsampling = transposed "
        r"\(0\.91\d? ×, 95 % interval 0\.8\d+ to 0\.9\d+\)\.",
        text,
    )
    assert "With 5 repetitions the design has 80 % power to detect" in text


@pytest.mark.parametrize(
    ("metric", "slower"), [("images_per_second", "0.900 ×"), ("milliseconds", "1.111 ×")]
)
def test_two_folders_are_compared_by_the_ratio_of_either(results, metric, slower):
    late = {arm: [0.9 * speed for speed in speeds] for arm, speeds in SPEEDS.items()}
    now = results(folder="a/x", metric=metric).store
    then = results(late, folder="b/x", metric=metric).store
    found = compare.compare(now, then)
    assert [arm.cells(relative=True)[2].split(" [")[0] for arm in found.arms] == [slower] * 2
    assert all(f"{metric} {slower}" in line for line in found.complaints)
    assert len(found.complaints) == 2
    assert compare.compare(then, now).complaints == []
    lost = results(folder="c/x", metric=metric, failures={(0, 1): "oom"}).store
    assert compare.compare(now, lost).complaints == [
        "bilinear: repetition 1 finished in A and failed in B"
    ]
