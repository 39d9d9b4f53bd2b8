"""Folds are compared with what they are for: whole groups, equal sizes, every class in every fold."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.data import folds, inspect, registry
from bench.data.folds import Folds
from bench.errors import UserError
from bench.experiment import config, data_digest, plan

GROUPS = st.lists(st.integers(0, 12), min_size=1, max_size=40).map(
    lambda found: [f"patient{one}" for one in found]
)
PATIENT = r"(patient\d+)_"


def sizes(dealt, count):
    return np.bincount(dealt, minlength=count)


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.integers(2, 6), st.integers(0, 3), st.booleans())
def test_every_image_is_in_one_fold_and_a_group_in_no_two(groups, count, repeat, stratify):
    assume(len(set(groups)) >= count)
    presence = np.random.default_rng(repeat).random((len(groups), 4)) < 0.3 if stratify else None
    chosen = Folds(count=count, group=PATIENT, repeat=repeat, stratify=stratify)
    dealt = folds.deal(groups, chosen, presence)
    assert set(dealt.tolist()) == set(range(count))  # none is empty
    assert len(set(zip(groups, dealt.tolist(), strict=True))) == len(set(groups))
    again = np.random.default_rng(0).permutation(len(groups))
    shuffled = folds.deal(
        [groups[i] for i in again], chosen, None if presence is None else presence[again]
    )
    assert shuffled.tolist() == dealt[again].tolist()


@settings(max_examples=60, deadline=None)
@given(GROUPS, st.integers(2, 6))
def test_sizes_differ_by_no_more_than_a_group(groups, count):
    assume(len(set(groups)) >= count)
    dealt = folds.deal(groups, Folds(count=count, group=PATIENT))
    found = sizes(dealt, count)
    fullest = np.asarray(groups)[dealt == found.argmax()]
    assert np.ptp(found) <= max(groups.count(one) for one in fullest)


@pytest.mark.parametrize("count", [2, 5, 7])
def test_images_that_are_no_groups_are_dealt_out_evenly_and_anew(count):
    names = [f"{number}.png" for number in range(33)]
    dealings = [folds.deal(names, Folds(count=count, repeat=repeat)) for repeat in range(3)]
    assert all(np.ptp(sizes(dealt, count)) <= 1 for dealt in dealings)
    assert len({tuple(dealt) for dealt in dealings}) == 3
    other = folds.deal(names, Folds(count=count, seed=1))
    assert not any((other == dealt).all() for dealt in dealings)


def test_a_class_that_can_be_in_every_fold_is():
    presence = np.zeros((60, 5), bool)
    presence[:, 0] = True
    for label, images in ((1, 5), (2, 10), (3, 25)):
        presence[np.random.default_rng(label).permutation(60)[:images], label] = True
    names = [f"{number:02d}" for number in range(60)]
    dealt = folds.deal(names, Folds(count=5, stratify=True), presence)
    found = np.array([presence[dealt == fold].sum(0) for fold in range(5)])
    assert found[:, 1].tolist() == [1] * 5  # as many as there can be
    assert np.ptp(found[:, 2:4], axis=0).max() <= 1
    assert np.ptp(sizes(dealt, 5)) <= 2
    assert not found[:, 4].any()


def test_stratified_folds_of_groups_are_more_alike_than_others():
    spread = {True: [], False: []}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        member = np.r_[np.arange(20), rng.integers(0, 20, 60)]
        presence = rng.random((80, 8)) < (rng.random((20, 8)) * rng.random(8))[member]
        for stratify, one in ((True, presence), (False, None)):
            groups = [f"patient{number}" for number in member]
            chosen = Folds(count=4, seed=seed, stratify=stratify)
            dealt = folds.deal(groups, chosen, one)
            anew = folds.deal(groups, chosen.model_copy(update={"repeat": 1}), one)
            assert (anew != dealt).mean() > 0.25
            held = np.array([presence[dealt == fold].sum(0) for fold in range(4)])
            spread[stratify].append((held / held.sum(0)).std(0).mean())
    assert np.mean(spread[True]) < 0.8 * np.mean(spread[False])


def test_too_few_groups_are_refused():
    with pytest.raises(UserError, match=r"data\.folds\.count: 3 folds of 2 groups of images"):
        folds.deal(["a", "b", "a", "b"], Folds(count=3, group="."))
    with pytest.raises(UserError, match="5 folds of 4 images"):
        folds.deal(list("abcd"), Folds())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fold": 5}, "fold: 5 of 5: folds count from 0"),
        ({"fold": -1}, "from 0 on, or seed"),
        ({"fold": "sed"}, "from 0 on, or seed, not 'sed'"),
        ({"count": 1}, "greater than or equal to 2"),
        ({"group": "("}, "no regular expression"),
        ({"group": "(a)(b)"}, "more than one pair of parentheses"),
        ({"fold": "seed", "repeat": 1}, "repeat: with fold: seed, the seed decides it"),
    ],
)
def test_settings_that_mean_nothing_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Folds(**values)


def test_a_seed_chooses_the_fold_and_after_all_folds_another_dealing():
    chosen = [Folds(count=3, fold="seed").for_seed(seed) for seed in range(7)]
    assert [one.fold for one in chosen] == [0, 1, 2, 0, 1, 2, 0]
    assert [one.repeat for one in chosen] == [0, 0, 0, 1, 1, 1, 2]
    assert "With seed s" in folds.note(chosen[1], 12, 12)
    assert Folds(fold=2).for_seed(4) == Folds(fold=2)
    assert "data.folds.fold names" in folds.note(Folds(fold=2), 12, 12)


NAMES = ("a/patient1_x.png", "a/patient2_x.png", "b/patient1_y.png")


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (None, NAMES),
        (PATIENT, ("patient1", "patient2", "patient1")),
        (r"^[^/]+", ("a", "a", "b")),
    ],
)
def test_a_group_is_what_the_pattern_fits(group, expected, tmp_path):
    assert folds.groups(NAMES, Folds(group=group), tmp_path) == expected


def test_names_without_a_group_are_named(tmp_path):
    with pytest.raises(UserError, match=r"'_y' finds no group for a/patient1_x.png, a/patient2_x"):
        folds.groups(NAMES, Folds(group="_y"), tmp_path)


@pytest.mark.parametrize(
    "images",
    [NAMES, [name[2:] for name in NAMES], [name[2:-4] for name in NAMES], [n[:-4] for n in NAMES]],
)
def test_a_table_names_images_with_or_without_folder_and_suffix(images, tmp_path):
    rows = "".join(f"{name},{site}\n" for name, site in zip(images, "NNS", strict=True))
    (tmp_path / "sites.csv").write_text(f"image,site\n{rows}")
    chosen = Folds(group={"table": "sites.csv", "column": "site"})
    assert folds.groups(NAMES, chosen, tmp_path) == ("N", "N", "S")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,town\n", "no column 'site'"),
        ("file,site\n", "no column 'image'"),
        (
            "image,site\npatient1_x,N\npatient1_y\n",
            "no group for a/patient2_x.png, b/patient1_y.png",
        ),
        ("", "no column 'image'"),
        (None, r"cannot be read \(No such file"),
        ("image,site\n\xff", "cannot be read"),
    ],
)
def test_a_table_that_lacks_something_is_refused(text, message, tmp_path):
    if text is not None:
        (tmp_path / "sites.csv").write_text(text, encoding="latin-1")
    chosen = Folds(group={"table": "sites.csv", "column": "site"})
    with pytest.raises(UserError, match=message) as error:
        folds.groups(NAMES, chosen, tmp_path)
    assert "sites.csv: " in str(error.value)


@pytest.fixture
def scans(tmp_path):
    """Three images of each of four patients; one patient alone has the third class."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "scans" / kind).mkdir(parents=True)
    for patient in range(4):
        for number in range(3):
            name = f"patient{patient}_{number}.png"
            image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            mask = rng.integers(0, 2, (40, 50), dtype=np.uint8) + (patient == 2) * np.uint8(1)
            cv2.imwrite(str(tmp_path / "scans/images" / name), image)
            cv2.imwrite(str(tmp_path / "scans/masks" / name), mask)
    (tmp_path / "scans" / "classes.yaml").write_text("names: [ground, line, dot]\n")
    return tmp_path


def load(root, **values):
    chosen = {"count": 4, "group": PATIENT, **values}
    return registry.load(inspect.settings_for("folder", {"path": "scans", "folds": chosen}), root)


def test_a_folder_without_splits_is_dealt_out(scans):
    held_out = []
    for fold in range(4):
        found = load(scans, fold=fold, stratify=True)
        val, train = (set(found.splits[split].names) for split in ("val", "train"))
        assert len(val) == 3
        assert len({name[:8] for name in val}) == 1
        assert not val & train
        held_out += sorted(val)
        image, _ = found.splits["val"].read(min(val))
        np.testing.assert_array_equal(
            image[..., ::-1], cv2.imread(str(scans / "scans/images" / min(val)))
        )
    assert len(set(held_out)) == 12
    assert "12 images in 4 groups, which are not divided, in 4 folds" in found.note
    assert "In one fold alone: dot" in found.note


def test_images_of_train_and_val_are_dealt_out_and_those_of_test_are_not(scans):
    folder = scans / "scans"
    names = sorted(path.name for path in (folder / "images").iterdir())
    for split, own in (("train", names[:6]), ("val", names[6:9]), ("test", names[9:])):
        (folder / f"{split}.txt").write_text("\n".join(own))
    splits = load(scans, count=3).splits
    assert sorted(splits["train"].names + splits["val"].names) == names[:9]
    assert list(splits["test"].names) == names[9:]


def test_a_changed_group_changes_what_a_trial_reads(scans):
    """Also if the first fold stays as it is: other seeds hold out other ones."""
    rows = [f"patient{p}_{n},{p}" for p in range(4) for n in range(3)]
    (scans / "scans/groups.csv").write_text("\n".join(["image,own", *rows]))
    column = {"table": "groups.csv", "column": "own"}
    before = load(scans, count=2, fold="seed", group=column)
    val = before.splits["val"].names
    other = next(n for n, row in enumerate(rows) if f"{row[:10]}.png" not in val)
    rows[other] = f"{rows[other][:10]},another"
    (scans / "scans/groups.csv").write_text("\n".join(["image,own", *rows]))
    after = load(scans, count=2, fold="seed", group=column)
    digests = {data_digest.of_dataset(one, ("train", "val")) for one in (before, after)}
    assert len(digests) == 2


def test_a_fold_is_a_factor_or_is_chosen_by_the_seed(scans):
    base = {"name": "x", "data": {"name": "folder", "path": "scans"}, "seeds": [0, 1]}
    group = {"group": PATIENT, "count": 4}
    by_factor = base | {"factors": {"data.folds.fold": [0, 1], "train.loss": ["ce", "dice"]}}
    by_factor["data"] = base["data"] | {"folds": group}
    trials = plan.plan(config.from_mapping(by_factor), scans)
    assert [trial.arm.settings.data.folds.fold for trial in trials] == [0, 0, 1, 1] * 2
    by_seed = base | {"data": base["data"] | {"folds": group | {"fold": "seed"}}}
    trials = plan.plan(config.from_mapping(by_seed), scans)
    assert [trial.arm.effective["data"]["folds"]["fold"] for trial in trials] == ["seed"] * 2
