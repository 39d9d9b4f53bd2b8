"""The audit: tables, what it flags, what a report says; and the dummy baselines of real data."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from bench.analysis import analysis
from bench.data import registry
from bench.data.inspect import settings_for
from bench.evaluation import audit
from bench.evaluation.counts import soft_json
from bench.evaluation.dummy_baselines import DUMMY_BASELINES, PERFECT, from_counts
from bench.evaluation.metric_variants import VARIANTS
from bench.report.content import audit as report
from bench.report.formats import markdown
from bench.store.records import Record
from tests.bench.made_stores import changed, details_json, scores_of

HONEST = dict.fromkeys(DUMMY_BASELINES, 0.05) | {PERFECT: 1.0}


def flagged(**rows):
    """Return variant → all that is said of it."""
    found = audit.flags(pd.DataFrame(rows).T)
    return {
        flag.variant: " ".join(f.text for f in found if f.variant == flag.variant) for flag in found
    }


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    settings = settings_for("scenes", {"train": 6, "val": 4, "size": 48})
    return registry.load(settings, tmp_path_factory.mktemp("none"))


def test_the_audit_of_a_dataset(scenes):
    found = audit.audit(scenes, "val")
    assert list(found.table.columns) == list(DUMMY_BASELINES)
    assert list(found.table.index) == [*VARIANTS, *audit.EXTRA_ROWS]
    assert (found.table.loc[list(VARIANTS), PERFECT] == 1).all()
    assert (found.table.loc["classes_averaged", "uniform"]) == len(scenes.classes)
    assert found.table.equals(audit.audit(scenes, "val").table)
    names = {flag.variant for flag in found.flags}
    assert "dataset" not in names
    assert {"smp_macro_imagewise", "milesial_dice"} <= names


def test_nothing_is_flagged_where_dummy_baselines_score_low():
    assert flagged(dataset=HONEST, study=HONEST) == {}


def test_a_high_score_of_a_dummy_baseline_is_flagged():
    found = flagged(dataset=HONEST, study={**HONEST, "prior": 0.5, "uniform": 0.499 - 0.2})
    assert list(found) == ["study"]
    assert "prior 0.500, where the perfect prediction gets 1.000." in found["study"]
    assert "uniform" not in found["study"]


def test_high_is_meant_relative_to_the_perfect_one():
    found = flagged(imagewise={**HONEST, "uniform": 0.3, PERFECT: 0.4})
    assert "uniform 0.300, where the perfect prediction gets 0.400." in found["imagewise"]
    assert flagged(imagewise={**HONEST, "uniform": 0.3}) == {}


def test_far_above_the_dataset_score_is_high_too():
    found = flagged(dataset=HONEST, study={**HONEST, "most_frequent": 0.31})
    assert list(found) == ["study"]
    high = {**HONEST, "most_frequent": 0.31}
    assert flagged(dataset=high, study=high) == {}


def test_a_low_score_for_the_perfect_one_is_flagged():
    found = flagged(dataset=HONEST, mmseg={**HONEST, PERFECT: 0.9})
    assert found == {"mmseg": "mmseg gives the perfect prediction 0.900 instead of 1."}


def test_the_real_validation_split(real_data):
    """All grass, on the 59 images: a useless prediction that two popular scores give 0.87."""
    msrc = registry.load(settings_for("msrc_v2", {}), real_data)
    found = audit.audit(msrc, "val")
    grass = msrc.classes.index("grass")
    masks = [msrc.splits["val"].read(name)[1] for name in msrc.splits["val"].names]
    pixels, void = sum(int((m == grass).sum()) for m in masks), [m == 255 for m in masks]
    total = sum(mask.size - v.sum() for mask, v in zip(masks, void, strict=True))
    column = found.table["most_frequent"]
    assert column["dataset"] == pytest.approx(pixels / total / 21)
    # smp, image by image: one class in 21 is predicted, and the absent others are right.
    each = []
    for mask in masks:
        there = set(np.unique(mask)) - {255}
        shared = (mask == grass).sum() / (mask != 255).sum()
        each.append((21 - len(there | {grass}) + shared) / 21)
    assert column["smp_macro_imagewise"] == pytest.approx(np.mean(each))
    assert column["smp_macro_imagewise"] > 0.85
    assert {flag.variant for flag in found.flags} == {
        "study",
        "smp_macro_imagewise",
        "milesial_dice",
    }


# The report's part. Two arms: one predicts nothing but the first class, the other is right.


@pytest.fixture
def audited(make_store):
    """Return a function that adds sums to the details of a made-up store, and loads it."""

    def build(truth_of=lambda arm: 0, **options):
        store = make_store(classes=6, **options)
        for record in store.records():
            arm = record.label
            truth = np.random.default_rng(truth_of(arm)).integers(1, 9, (4, 6))
            truth[:, 3:] = 0
            known = from_counts(tuple("abcd"), truth, np.array([9, 1, 1, 1, 1, 1]))
            details = details_json(store, record.key)
            details.pop("schema", None)
            kind = "most_frequent" if arm == "dice" else PERFECT
            details = changed(details, **stored(known[kind]))
            images = details["confusion"]["images"]
            shapes = itertools.cycle(details["per_image"].values())
            details["per_image"] = dict(zip(images, shapes, strict=False))
            store.commit(rescored(record, scores_of(details, 6), len(images)), details)
        return analysis.load(store)

    return build


def rescored(record, scores, images):
    """Return a record with the scores of other counts, of so many images."""
    values = record.model_dump(mode="json")
    values["result"]["metrics"] |= scores
    values["result"]["counts"]["evaluated_images"] = images
    return Record.model_validate(values)


def stored(counts):
    entries = [[[int(t), int(p), int(m[t, p])] for t, p in np.argwhere(m)] for m in counts.matrices]
    return {
        "confusion": {"images": list(counts.names), "entries": entries},
        "soft": soft_json(counts),
        "train_pixels": [9, 1, 1, 1, 1, 1],
    }


def test_the_report_scores_arms_beside_dummy_baselines(audited):
    (section,) = report.sections(audited())
    assert section.arms == ("ce", "dice")
    assert section.table.headings == ("predictor", *VARIANTS, *audit.EXTRA_ROWS)
    rows = {
        row[0]: dict(zip(section.table.headings[1:], row[1:], strict=True))
        for row in section.table.text()
    }
    assert list(rows) == [*DUMMY_BASELINES, "ce", "dice"]
    assert rows["ce"] == rows[PERFECT]
    assert rows["dice"] == rows["most_frequent"]
    assert rows["ce"]["classes_averaged"] == "3"
    text = " ".join(section.sentences)
    assert "The most frequent class is building." in text
    assert rows["dice"]["study_absent"] == "0.500"
    own, soft = rows["dice"]["dataset"], rows["dice"]["study"]
    assert f"Of the {soft} that study gives to dice, 0.500 is for classes absent" in text
    assert f"dataset gives it {own}." in text
    assert any(flag.startswith("smp_macro_imagewise gives") for flag in section.flags)


def test_arms_of_different_truth_are_audited_apart(audited):
    first, second = report.sections(audited(truth_of=len))
    assert (first.arms, second.arms) == (("ce",), ("dice",))


def test_the_report_names_variants_that_prefer_another_arm(audited):
    (section,) = report.sections(audited())
    assert not any("ranks" in sentence for sentence in section.sentences)
    scores = pd.DataFrame({"a": dict.fromkeys(VARIANTS, 0.1), "b": dict.fromkeys(VARIANTS, 0.2)})
    scores.loc["study"] = [0.3, 0.25]
    scores = scores.reindex([*VARIANTS, *audit.EXTRA_ROWS])
    said = report.about_arms(scores)
    assert (said["first"], said["others"]) == ("b", {"a": ["study"]})


@pytest.mark.parametrize("name", ["nothing run", "all failed"])
def test_a_store_without_results_has_no_audit(example, name):
    assert report.sections(analysis.load(example(name))) == ()


def test_a_store_without_sums_has_no_audit(make_store):
    assert report.sections(analysis.load(make_store(without=("soft",)))) == ()


def test_the_definitions_fit_a_markdown_table():
    rendered = str(markdown.table(report.definitions()))
    assert len(rendered.splitlines()) == 2 + len(VARIANTS)


def test_the_batch_size_reaches_the_dummy_baselines():
    known = from_counts(("a", "b"), np.array([[4, 0], [0, 4]]), np.array([1, 1]), batch_size=1)
    whole = {name: dataclasses.replace(e, batch_size=2) for name, e in known.items()}
    assert audit.table(known).loc["study_absent", PERFECT] == pytest.approx(0.5)
    assert audit.table(whole).loc["study_absent", PERFECT] == 0
