"""Records of the tests of the store serve here too."""

from tests.bench.store.conftest import make_record

__all__ = ["make_record"]
