"""The dummy baselines against labels that are counted here a second time."""

import numpy as np
import pytest

from bench.data import registry
from bench.data.dataset import class_pixels
from bench.data.inspect import settings_for
from bench.errors import UserError
from bench.evaluation.dummy_baselines import DUMMY_BASELINES, from_counts, from_split

SETTINGS = {"train": 6, "val": 4, "size": 48}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return registry.load(settings_for("scenes", SETTINGS), tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def found(scenes):
    return from_split(scenes, "val", 3)


def labels(split):
    """All labels of each image that count."""
    masks = [split.read(name)[1] for name in split.names]
    return [mask[mask != registry.IGNORE_INDEX] for mask in masks]


@pytest.mark.parametrize("name", DUMMY_BASELINES)
def test_all_speak_of_every_pixel_that_counts(scenes, found, name):
    counts, truth = found[name], labels(scenes.splits["val"])
    assert counts.names == scenes.splits["val"].names
    for i, image in enumerate(truth):
        for label in range(len(scenes.classes)):
            assert counts.truth[i, label] == (image == label).sum()
        assert counts.matrices[i].sum() == image.size
        assert counts.predicted[i].sum() == pytest.approx(image.size)


def test_the_most_frequent_class_is_that_of_training(scenes, found):
    training = np.concatenate(labels(scenes.splits["train"])).tolist()
    most = max(set(training), key=training.count)
    counts = found["most_frequent"]
    assert (counts.matrices.sum(1).argmax(1) == most).all()
    assert (np.delete(counts.matrices, most, axis=2) == 0).all()
    assert (counts.predicted == counts.matrices.sum(1)).all()
    assert (counts.intersection == counts.matrices.diagonal(0, 1, 2)).all()


def test_the_prior_is_that_of_training(scenes, found):
    training = np.concatenate(labels(scenes.splits["train"]))
    shares = np.bincount(training, minlength=len(scenes.classes)) / training.size
    total = sum(image.size for image in labels(scenes.splits["val"]))
    assert found["prior"].predicted.sum(0) == pytest.approx(total * shares)


def test_the_perfect_one_is_right_everywhere(found):
    counts = found["perfect"]
    for matrix, truth in zip(counts.matrices, counts.truth, strict=True):
        assert (matrix == np.diag(truth)).all()
    assert (counts.intersection == counts.truth).all()
    assert (counts.predicted == counts.truth).all()


@pytest.mark.parametrize("name", ["uniform", "prior"])
def test_the_random_ones_draw_with_the_probabilities_that_they_state(name):
    truth, training = np.array([[600_000, 400_000, 0]]), np.array([7, 2, 1])
    counts = from_counts(("a",), truth, training, seed=1)[name]
    probability = {"uniform": [1 / 3] * 3, "prior": [0.7, 0.2, 0.1]}[name]
    assert counts.predicted[0] == pytest.approx(1_000_000 * np.array(probability))
    assert counts.intersection[0] == pytest.approx(truth[0] * probability)
    shares = counts.matrices[0, :2] / truth[0, :2, None]
    assert shares == pytest.approx(np.array([probability] * 2), abs=4e-3)  # 5 sd of 400,000 draws


def test_the_seed_decides_the_random_ones_and_no_other(scenes, found):
    same, other = from_split(scenes, "val", 3), from_split(scenes, "val", 4)
    for name, counts in found.items():
        assert (same[name].matrices == counts.matrices).all()
        differs = (other[name].matrices != counts.matrices).any()
        assert differs == (name in ("uniform", "prior"))


def test_an_unknown_split_is_the_users_mistake(scenes):
    with pytest.raises(UserError, match="no split 'vla'; did you mean 'val'"):
        from_split(scenes, "vla")


def test_training_pixels_that_do_not_fit_are_refused():
    truth = np.array([[3, 1]])
    for wrong in ([1, 2, 3], [0, 0]):
        with pytest.raises(ValueError, match="no pixels of 2 classes"):
            from_counts(("a",), truth, np.array(wrong))


def test_void_is_counted_nowhere(scenes):
    truth = labels(scenes.splits["val"])
    counts = class_pixels(scenes.splits["val"], len(scenes.classes))
    assert counts.sum(1).tolist() == [image.size for image in truth]
