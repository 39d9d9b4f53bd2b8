"""Packed counts say what the stored ones did."""

import gc

import numpy as np
import pytest

from bench.report import write
from bench.store import loading
from bench.store.details import Details
from bench.store.image_counts import collector_paused, pack


def test_packed_counts_are_the_stored_ones(made_up_counts):
    stored = made_up_counts(7, 5, 0.6, np.random.default_rng(0))
    packed = pack(Details.model_validate(stored), 7)
    expected = np.zeros((5, 7, 7), np.int64)
    for matrix, entries in zip(expected, stored["confusion"]["entries"], strict=True):
        for truth, prediction, pixels in entries:
            matrix[truth, prediction] = pixels
    found = packed.image_counts()
    assert found.names == tuple(stored["confusion"]["images"])
    assert (found.matrices == expected).all()
    assert found.intersection.tolist() == stored["soft"]["intersection"]
    assert found.predicted.tolist() == stored["soft"]["predicted"]
    assert (packed.total() == expected.sum(0)).all()
    assert packed.train_pixels == tuple(stored["train_pixels"])
    assert packed.cells.nbytes + packed.pixels.nbytes < expected.nbytes


def test_what_was_not_stored_is_not_there(made_up_counts):
    stored = made_up_counts(7, 5, 0.6, np.random.default_rng(0))
    assert pack(Details(), 7) is None
    packed = pack(Details.model_validate({"confusion": stored["confusion"]}), 7)
    assert packed.train_pixels is None
    assert packed.matrices().sum() == packed.total().sum() > 0
    with pytest.raises(ValueError, match="no soft sums"):
        packed.image_counts()


def test_images_without_a_counted_pixel_keep_their_place():
    confusion = {"images": ["void", "b"], "entries": [[], [[1, 0, 4], [1, 1, 2]]]}
    matrices = pack(Details.model_validate({"confusion": confusion}), 2).matrices()
    assert matrices.tolist() == [[[0, 0], [0, 0]], [[0, 0], [4, 2]]]


def test_details_are_read_once(make_store, monkeypatch):
    store, read = make_store(counted=2), []
    details = type(store).details

    def counted(self, key):
        read.append(key)
        return details(self, key)

    monkeypatch.setattr(type(store), "details", counted)
    write.write(store)
    assert sorted(read) == sorted(store.keys())


def test_counts_are_of_finished_trials(example):
    results = loading.load(example("seven arms"))
    assert set(results.counts) == set(results.done["key"])


def test_the_collector_is_paused_and_left_as_it_was():
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
