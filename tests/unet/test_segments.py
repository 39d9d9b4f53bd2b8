"""Scores of segments: fixtures worked out on paper, skimage where it says the same, properties."""

import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import metrics

from unet.segments import components, em_scores, pixel_error, thinned, v_info, v_rand


def cells(*rows):
    """``#`` is membrane, every other character a cell."""
    return np.array([[character != "#" for character in row] for row in rows], dtype=np.uint8)


def segments(*rows):
    """Every letter one segment, ``#`` membrane."""
    return np.array([[0 if c == "#" else ord(c) for c in row] for row in rows])


TRUTH = segments("aaaa#bb", "aaaa#bb")  # 8 pixels and 4 of the 12 that count


def entropy(*shares):
    return -sum(share * math.log2(share) for share in shares)


# name → prediction, Σp², Σs², Σt² in 144ths, H(S;T), H(S), H(T)
BY_HAND = {
    "perfect": (["xxxx#yy", "xxxx#yy"], 80, 80, 80, [8, 4], [8, 4]),
    "merged": (["xxxxxxx", "xxxxxxx"], 80, 144, 80, [8, 4], [12]),
    "split": (["xxyy#zz", "xxyy#zz"], 48, 48, 80, [4, 4, 4], [4, 4, 4]),
    "membrane within a cell": (["xx#y#zz", "xx#y#zz"], 38, 38, 80, [4, 2, 4, 1, 1], [4, 2, 4, 1, 1]),
    "shifted": (["xxx#yyy", "xxx#yyy"], 54, 54, 80, [6, 4, 1, 1], [6, 4, 1, 1]),
    "mixed up": (["xxxx#xx", "yyyy#yy"], 40, 72, 80, [4, 4, 2, 2], [6, 6]),
    "all membrane": (["#######", "#######"], 12, 12, 80, [1] * 12, [1] * 12),
}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "joint", "s", "t", "pairs", "sizes"), BY_HAND.values(), ids=BY_HAND
)
def test_worked_out_by_hand(rows, joint, s, t, pairs, sizes):
    prediction = segments(*rows)
    expected = 2 * joint / (s + t), joint / t, joint / s
    assert v_rand(prediction, TRUTH) == pytest.approx(expected)

    h_st, h_s, h_t = (entropy(*(size / 12 for size in x)) for x in (pairs, sizes, [8, 4]))
    information = h_s + h_t - h_st
    split = information / h_s if h_s else 1.0
    expected = 2 * information / (h_s + h_t), split, information / h_t
    assert v_info(prediction, TRUTH) == pytest.approx(expected, abs=1e-12)


def test_numbers_by_hand():
    """The table above once more, in figures."""
    merged, split = segments("xxxxxxx", "xxxxxxx"), segments("xxyy#zz", "xxyy#zz")
    assert v_rand(merged, TRUTH) == pytest.approx((5 / 7, 1, 5 / 9))
    assert v_rand(split, TRUTH) == pytest.approx((0.75, 0.6, 1))
    assert v_info(merged, TRUTH) == (0, 1, 0)
    # H(S) = log₂ 3 and H(T) = log₂ 3 - 2/3 bits, all of which the prediction tells.
    bits = math.log2(3)
    expected = 2 * (bits - 2 / 3) / (2 * bits - 2 / 3), (bits - 2 / 3) / bits, 1
    assert v_info(split, TRUTH) == pytest.approx(expected)


def random_segments(seed, *, membrane):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 6, (4, 5)), np.ones((3, 4), dtype=np.int64))
    prediction = np.where(rng.random(truth.shape) < 0.2, rng.integers(1, 9, truth.shape), truth + 1)
    if membrane:
        prediction[rng.random(truth.shape) < 0.2] = 0
    return prediction, truth


def membrane_apart(prediction):
    """Give every pixel of membrane a number of its own: what skimage has to be told."""
    single = prediction.copy()
    single[prediction == 0] = prediction.max() + 1 + np.arange((prediction == 0).sum())
    return single


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("membrane", [False, True])
def test_agrees_with_skimage(seed, membrane):
    prediction, truth = random_segments(seed, membrane=membrane)
    number = np.count_nonzero(truth)
    single = membrane_apart(prediction)

    splits, merges = metrics.variation_of_information(truth, single, ignore_labels=(0,))
    table = metrics.contingency_table(truth, single, ignore_labels=(0,), normalize=True)
    s, t = (np.asarray(table.sum(axis=axis)).ravel() for axis in (0, 1))
    h_s, h_t = entropy(*s[s > 0]), entropy(*t[t > 0])
    found = v_info(prediction, truth)
    assert found.split == pytest.approx(1 - splits / h_s)
    assert found.merge == pytest.approx(1 - merges / h_t)
    assert found.score == pytest.approx(1 - (splits + merges) / (h_s + h_t))

    # It counts pairs of two different pixels; with every pixel once more, they are any two. What
    # it calls precision is the split part, and recall the merge part: the names are exchanged.
    error, *parts = metrics.adapted_rand_error(truth, single)
    pairs_s, pairs_t = (number**2 * float((x**2).sum()) for x in (s, t))
    joint = (1 - error) * ((pairs_s + pairs_t) / 2 - number) + number
    ours = v_rand(prediction, truth)
    assert ours == pytest.approx(
        (2 * joint / (pairs_s + pairs_t), joint / pairs_t, joint / pairs_s)
    )
    theirs = (joint - number) / (pairs_t - number), (joint - number) / (pairs_s - number)
    assert sorted(parts) == pytest.approx(sorted(theirs))
    assert ours.score == pytest.approx(1 - error, abs=0.05)


def test_skimage_comes_as_close_as_the_cells_are_large():
    prediction, truth = random_segments(0, membrane=False)
    errors = []
    for factor in (1, 4, 16):
        square = np.ones((factor, factor), dtype=np.int64)
        large = np.kron(prediction, square), np.kron(truth, square)
        errors.append(abs(v_rand(*large).score - 1 + metrics.adapted_rand_error(*large[::-1])[0]))
    assert errors[2] < errors[1] / 10 < errors[0] / 100


def test_skimage_takes_predicted_membrane_for_one_segment():
    """Why it is not called here: nothing found at all would pass for everything merged."""
    nothing = np.zeros_like(TRUTH)
    _, *parts = metrics.adapted_rand_error(TRUTH, nothing)
    assert sorted(parts) == pytest.approx([17 / 33, 1])  # (80 - 12) / (144 - 12)
    assert v_rand(nothing, TRUTH).split == pytest.approx(0.15)
    assert v_rand(nothing, TRUTH).merge == 1


labels = arrays.arrays(np.int64, (6, 7), elements=st.integers(0, 4))


ONE_PIXEL_OFF = np.ones((6, 7), np.int64), np.zeros((6, 7), np.int64)
ONE_PIXEL_OFF[0][0, 1] = 0
ONE_PIXEL_OFF[1][0] = 4, 2, 1, 3, 1, 1, 4  # its shares, rounded, divide to a little more than 1


@given(labels, labels, st.randoms(use_true_random=False))
@example(*ONE_PIXEL_OFF, random.Random(0))
@settings(deadline=None, max_examples=60)
def test_properties(prediction, truth, rng):
    for score in (v_rand, v_info):
        found = score(prediction, truth)
        if not truth.any():
            assert all(math.isnan(value) for value in found)
            continue
        assert all(0 <= value <= 1 for value in found)
        assert min(found[1:]) - 1e-9 <= found.score <= max(found[1:]) + 1e-9
        assert score(truth, truth) == pytest.approx((1, 1, 1))
        names = rng.sample(range(1, 100), 5)
        renamed = np.where(prediction == 0, 0, np.array(names)[prediction])
        assert score(renamed, truth) == pytest.approx(found)
        outside = np.where(truth == 0, 3, prediction)  # the true membrane counts nowhere
        assert score(outside, truth) == pytest.approx(found)


TILES = np.pad(np.kron(np.arange(1, 10).reshape(3, 3), np.ones((4, 5), np.int64)), 1)


@given(st.sets(st.integers(1, 9), min_size=2, max_size=8))
@settings(deadline=None, max_examples=20)
def test_merging_lowers_the_merge_part_alone_and_splitting_the_split_part(chosen):
    merged = np.where(np.isin(TILES, list(chosen)), 1000, TILES)
    columns = np.arange(TILES.shape[1])
    split = np.where(np.isin(TILES, list(chosen)) & (columns % 2 == 0), TILES + 100, TILES)
    for score in (v_rand, v_info):
        found = score(merged, TILES)
        assert found.split == pytest.approx(1)
        assert found.merge < found.score < 1
        found = score(split, TILES)
        assert found.merge == pytest.approx(1)
        assert found.split < found.score < 1


def test_one_true_cell_has_no_entropy_to_lose():
    truth, two = segments("aaaa"), segments("xxyy")
    assert v_info(truth, truth) == (1, 1, 1)
    assert v_info(two, truth) == (0, 0, 1)
    assert v_rand(two, truth) == pytest.approx((2 / 3, 0.5, 1))


def test_a_diagonal_membrane_separates():
    found = components(cells("..#", ".#.", "#.."))
    assert found.tolist() == [[1, 1, 0], [1, 0, 2], [0, 2, 2]]


def test_thinning_leaves_membranes_of_one_pixel():
    thick = components(cells("..###..", "..###..", "..###.."))
    assert thinned(thick).tolist() == [[1, 1, 1, 0, 2, 2, 2]] * 3
    thin = components(cells(".#.", "#.#", ".#."))
    assert np.array_equal(thinned(thin), thin)
    assert not thinned(np.zeros((3, 4), np.int32)).any()


@given(arrays.arrays(np.bool_, (9, 11)))
@settings(deadline=None, max_examples=60)
def test_thinning_keeps_every_segment_and_lets_none_touch(mask):
    before = components(mask)
    after = thinned(before)
    assert np.array_equal(after[mask], before[mask])
    assert set(np.unique(after)) - {0} == set(np.unique(before)) - {0}
    for a, b in ((after[1:], after[:-1]), (after[:, 1:], after[:, :-1])):
        assert not ((a != b) & (a != 0) & (b != 0)).any()


def test_pixel_error_by_hand():
    truth = cells("..#..", "..#..")
    truth[1, 4] = 255
    assert pixel_error(cells(".....", "..#.#"), truth) == pytest.approx(1 / 9)
    assert pixel_error(truth % 255, truth) == 0
    assert math.isnan(pixel_error(cells(".."), np.array([[255, 255]])))


def test_a_stack_is_the_mean_of_its_slices():
    truth = np.stack(
        [cells("...#..", "...#.."), cells(".#.#.#", "##.###"), cells("######", "######")]
    )
    prediction = np.stack(
        [cells("......", "...#.."), cells(".#.#.#", "...###"), cells("#.####", "######")]
    )
    each = [em_scores(p, t) for p, t in zip(prediction, truth, strict=True)]
    found = em_scores(prediction, truth)
    assert list(found) == [
        "v_rand", "v_rand_split", "v_rand_merge", "v_info", "v_info_split", "v_info_merge", "pixel_error",
    ]  # fmt: skip
    for name, value in found.items():
        slices = each if name == "pixel_error" else each[:2]  # the third slice has no cell
        assert value == pytest.approx(np.mean([scores[name] for scores in slices])), name
    assert math.isnan(each[2]["v_rand"])
    assert math.isnan(em_scores(prediction[2:], truth[2:])["v_info"])


def test_scores_of_pixels():
    """One gap in the membrane merges two cells; thick membranes cost nothing once thinned."""
    truth = cells("....#....", "....#....", "....#....")
    gap = cells("....#....", ".........", "....#....")
    found = em_scores(gap, truth)
    assert {type(value) for value in found.values()} == {float}  # as JSON has it
    # 12 and 12 pixels, all of one segment.
    assert found["v_rand"] == pytest.approx(2 * 0.5 / 1.5)
    assert (found["v_rand_split"], found["v_rand_merge"]) == pytest.approx((1, 0.5))
    assert (found["v_info"], found["v_info_split"], found["v_info_merge"]) == (0, 1, 0)
    assert found["pixel_error"] == pytest.approx(1 / 27)

    thick = cells("...###...", "...###...", "...###...")
    assert em_scores(thick, truth)["v_rand"] == pytest.approx(1)
    assert em_scores(thick, truth)["pixel_error"] == pytest.approx(6 / 27)
    rough = em_scores(thick, truth, thin=False)
    # 9 and 9 pixels of 24 in segments, 6 alone.
    assert rough["v_rand_split"] == pytest.approx((2 * 81 + 6) / (2 * 144))
    assert rough["v_rand_merge"] == 1
    perfect = em_scores(truth, truth, thin=False)
    assert perfect == pytest.approx({**dict.fromkeys(found, 1.0), "pixel_error": 0.0})


def test_void_is_in_no_cell():
    truth = cells("...#...", "...#...")
    void = truth.copy()
    void[:, 5:] = 255
    narrow = em_scores(truth[:, :5], truth[:, :5])
    assert em_scores(truth, void) == pytest.approx(narrow)


def test_misuse_is_refused():
    one = cells("..#")
    with pytest.raises(
        ValueError, match=r"both be \(H, W\) or \(N, H, W\), not \(1, 3\) and \(1, 2\)"
    ):
        em_scores(one, one[:, 1:])
    with pytest.raises(ValueError, match=r"not \(3,\) and \(3,\)"):
        pixel_error(one[0], one[0])
    with pytest.raises(ValueError, match=r"prediction holds 255; known are \(0, 1\)"):
        em_scores(255 * one, one)
    with pytest.raises(ValueError, match=r"truth holds 7; known are \(0, 1, 255\)"):
        em_scores(one, 7 * one)
    for score in (v_rand, v_info):
        with pytest.raises(ValueError, match=r"the same shape, not \(1, 3\) and \(1, 2\)"):
            score(one, one[:, 1:])
