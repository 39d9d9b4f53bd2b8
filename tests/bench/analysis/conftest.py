"""Stores with known scores, as the effects found in them."""

import pytest

from bench.analysis.analysis import load


@pytest.fixture
def found(make_store):
    """Return a function: options of a store → its effects."""

    def get(**options):
        return load(make_store(images=0, **options)).effects

    return get
