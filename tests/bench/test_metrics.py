"""The registry of metrics: values of records by name, means over classes, and wrong names."""

import pytest

from bench import metrics
from bench.errors import UserError
from bench.measurements import MEASUREMENTS

STORED = {"mean_iou": 0.4, "iou": [0.2, None, 0.7], "dice": [None, None, None], "v_rand": None}
CLASSES = ("sky", "road", "car")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean_iou", 0.4),
        ("iou", 0.45),  # (0.2 + 0.7) / 2: a class without a value is in no mean
        ("iou[car]", 0.7),
        ("iou[road]", None),
        ("iou[bus]", None),
        ("dice", None),
        ("dice[sky]", None),
        ("v_rand", None),
        ("recall", None),
        ("mean_iou[car]", None),
    ],
)
def test_the_value_of_a_name(name, value):
    found = metrics.value(STORED, name, CLASSES)
    assert found == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mean_io", "unknown metric 'mean_io'; did you mean 'mean_iou'?"),
        ("dise[car]", r"unknown metric 'dise\[car\]'; did you mean 'dice'?"),
        ("mean_iou[car]", "mean_iou has no value for a single class; iou, dice"),
        ("", "unknown metric ''"),
    ],
)
def test_a_wrong_name_is_one_line(name, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")) as error:
        metrics.find(name)
    assert "\n" not in str(error.value)


def test_names_and_labels_of_one_class():
    assert metrics.find("iou[car]") is metrics.METRICS["iou"]
    assert metrics.split("iou[a b]") == ("iou", "a b")
    assert metrics.label("iou[car]") == "IoU of car"
    assert metrics.label("train_loss") == "train loss"
    assert metrics.label("v_rand_split") == "V_rand split"


def test_headings_have_units():
    assert metrics.heading("images_per_second") == "throughput, images/s"
    assert metrics.heading("iou[car]") == "IoU of car"


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_has_a_default_metric_that_it_gives(name):
    assert MEASUREMENTS[name].name == name
    assert metrics.find(MEASUREMENTS[name].metric).measure == name


def test_every_metric_is_of_a_measurement():
    assert {metric.measure for metric in metrics.METRICS.values()} == set(MEASUREMENTS)
