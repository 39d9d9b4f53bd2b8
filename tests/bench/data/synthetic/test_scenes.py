import numpy as np
import pytest

from bench.data.synthetic.canvas import LABELS, VOID
from bench.data.synthetic.scenes import draw_scene


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("name", sorted(set(LABELS) - {"sky", "grass"}))
def test_the_contents_are_drawn_and_nothing_else(name):
    for seed in range(20):
        image, labels = draw_scene(generator(seed), (120, 160), {name})
        assert image.shape == (120, 160, 3)
        assert image.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {LABELS.index(n) for n in ("sky", "grass", name)} | {VOID}
        assert LABELS.index(name) in labels


def test_objects_cover_what_is_behind_them():
    alone = draw_scene(generator(3), (96, 96), set())[1]
    peopled = draw_scene(generator(3), (96, 96), {"person"})[1]
    person = peopled == LABELS.index("person")
    assert person.any()
    assert not (alone == LABELS.index("person")).any()
