"""Reports of the example stores: read, drawn and rendered once for all tests of a run."""

import functools

import pytest

from bench.analysis.analysis import load
from bench.report.document import Document
from bench.report.formats import html


@pytest.fixture(scope="session")
def document(example):
    """Return a function: name of an example → its report, whose figures are drawn once."""
    return functools.cache(lambda name: Document(load(example(name))))


@pytest.fixture(scope="session")
def page_of(document):
    """Return a function: name of an example → its page as text."""
    return functools.cache(lambda name: html.render(document(name)))
